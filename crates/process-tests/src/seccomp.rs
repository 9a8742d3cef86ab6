//! Makes one kind of system call of this process fail, as on an older kernel or in a sandbox.
#![allow(unsafe_code, reason = "seccomp(2) takes a program by pointer")]

use nix::libc;

/// Which calls.
#[derive(Clone, Copy, Debug)]
pub enum Calls {
    /// All of them.
    All,
    /// The second argument has this value.
    WithValue(u32),
    /// The second argument has one of these bits.
    WithBits(u32),
    /// The third argument has this value.
    ThirdWithValue(u32),
}

/// From now on `call` fails with `errno` in this thread and in those that it starts.
pub fn fail(call: libc::c_long, which: Calls, errno: i32) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const IF_BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    // struct seccomp_data: the number at 0, the arguments from 16 on, low half first.
    let (second, third) = (16 + 8, 16 + 16);
    let (argument, test, value) = match which {
        // Always true.
        Calls::All => (0, IF_EQUAL, call as u32),
        Calls::WithValue(value) => (second, IF_EQUAL, value),
        Calls::WithBits(bits) => (second, IF_BITS, bits),
        Calls::ThirdWithValue(value) => (third, IF_EQUAL, value),
    };
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        line(LOAD, 0, 0, 0),
        line(IF_EQUAL, 0, 3, call as u32),
        line(LOAD, 0, 0, argument),
        line(test, 0, 1, value),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: plain numbers.
    let done = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a program of the length given, copied by the kernel before the call returns.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}
