// For programs that run in a sandbox: LeakSanitizer stops a process's threads by ptrace, which the
// sandbox's system call filter forbids, and would end the program for it.
extern "C" int __lsan_is_turned_off() {
  return 1;
}
