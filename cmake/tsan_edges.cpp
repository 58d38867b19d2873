// What synchronises inside CAF and gRPC, told to ThreadSanitizer: Debian builds both without it, so
// that it sees neither an actor's mailbox nor Abseil's mutex, and would report whatever one thread
// hands to another through them. The functions here stand before those of the libraries, and add
// only the edge that is there: per actor, per mutex, per operation. In tsan builds alone.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <caf/config.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

namespace {

template <class Pointer>
Pointer next_of(std::atomic<Pointer>& known, const char* name) {
  auto found = known.load(std::memory_order_relaxed);
  if (found == nullptr) {
    found = reinterpret_cast<Pointer>(::dlsym(RTLD_NEXT, name));
    if (found == nullptr) {
      (void)std::fprintf(stderr, "tsan_edges.cpp: no library has %s\n", name);
      std::abort();
    }
    known.store(found, std::memory_order_relaxed);
  }
  return found;
}

/// What counting a reference down does: it orders itself after what others did before they did.
void count_down(void* address) {
  __tsan_acquire(address);
  __tsan_release(address);
}

}  // namespace

// NAME stands before the library's function of this mangled name. `self` and what else lies in
// registers is passed on; arguments that are classes with destructors are passed by address.
#define STANDS_BEFORE(RESULT, NAME, MANGLED, PARAMETERS)                                     \
  static std::atomic<RESULT(*) PARAMETERS> NAME##_known{nullptr};                            \
  extern "C" __attribute__((visibility("default"))) RESULT NAME PARAMETERS __asm__(MANGLED); \
  static constexpr const char* NAME##_name = MANGLED;                                        \
  extern "C" RESULT NAME PARAMETERS

#define THE_LIBRARYS(NAME) next_of(NAME##_known, NAME##_name)

// -- Abseil's mutex -------------------------------------------------------------------------------

STANDS_BEFORE(void, absl_lock, "_ZN4absl7debian35Mutex4LockEv", (void* self)) {
  THE_LIBRARYS(absl_lock)(self);
  __tsan_acquire(self);
}
STANDS_BEFORE(bool, absl_try_lock, "_ZN4absl7debian35Mutex7TryLockEv", (void* self)) {
  const bool locked = THE_LIBRARYS(absl_try_lock)(self);
  if (locked) __tsan_acquire(self);
  return locked;
}
STANDS_BEFORE(void, absl_unlock, "_ZN4absl7debian35Mutex6UnlockEv", (void* self)) {
  __tsan_release(self);
  THE_LIBRARYS(absl_unlock)(self);
}
STANDS_BEFORE(void, absl_wait, "_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE",
              (void* self, void* mutex)) {
  __tsan_release(mutex);
  THE_LIBRARYS(absl_wait)(self, mutex);
  __tsan_acquire(mutex);
}
// Time and Duration: eight bytes and four, in two registers.
STANDS_BEFORE(bool, absl_wait_until,
              "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE",
              (void* self, void* mutex, long when, long rest)) {
  __tsan_release(mutex);
  const bool late = THE_LIBRARYS(absl_wait_until)(self, mutex, when, rest);
  __tsan_acquire(mutex);
  return late;
}
STANDS_BEFORE(bool, absl_wait_for,
              "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE",
              (void* self, void* mutex, long time, long rest)) {
  __tsan_release(mutex);
  const bool late = THE_LIBRARYS(absl_wait_for)(self, mutex, time, rest);
  __tsan_acquire(mutex);
  return late;
}

// -- CAF's actors ---------------------------------------------------------------------------------

STANDS_BEFORE(void, caf_launch, "_ZN3caf15scheduled_actor6launchEPNS_14execution_unitEbb",
              (void* self, void* unit, bool lazily, bool hidden)) {
  __tsan_release(self);
  THE_LIBRARYS(caf_launch)(self, unit, lazily, hidden);
}
// A message that nobody takes any more is ended by who closes the mailbox, as the element that it
// is.
STANDS_BEFORE(int, caf_enqueue,
              "_ZN3caf15scheduled_actor7enqueueESt10unique_ptrINS_15mailbox_elementENS_6detail8"
              "disposerEEPNS_14execution_unitE",
              (void* self, void** element, void* unit)) {
  __tsan_release(self);
  __tsan_release(*element);
  return THE_LIBRARYS(caf_enqueue)(self, element, unit);
}
// Each handler's end is told at once: by the time that `resume` returns, the mailbox may long have
// been closed, opened by the next message, and its handler begun in another thread.
STANDS_BEFORE(bool, caf_activate, "_ZN3caf15scheduled_actor8activateEPNS_14execution_unitE",
              (void* self, void* unit)) {
  __tsan_acquire(self);
  const bool alive = THE_LIBRARYS(caf_activate)(self, unit);
  __tsan_release(self);
  return alive;
}
STANDS_BEFORE(int, caf_consume, "_ZN3caf15scheduled_actor7consumeERNS_15mailbox_elementE",
              (void* self, void* element)) {
  __tsan_acquire(self);
  const int consumed = THE_LIBRARYS(caf_consume)(self, element);
  __tsan_release(self);
  return consumed;
}
STANDS_BEFORE(int, caf_reactivate, "_ZN3caf15scheduled_actor10reactivateERNS_15mailbox_elementE",
              (void* self, void* element)) {
  __tsan_acquire(self);
  const int left = THE_LIBRARYS(caf_reactivate)(self, element);
  __tsan_release(self);
  return left;
}
STANDS_BEFORE(int, caf_resume, "_ZN3caf15scheduled_actor6resumeEPNS_14execution_unitEm",
              (void* self, void* unit, unsigned long most)) {
  __tsan_acquire(self);
  const int left = THE_LIBRARYS(caf_resume)(self, unit, most);
  __tsan_release(self);
  return left;
}
// The same for a caller that knows the actor as a resumable, 160 bytes into it.
STANDS_BEFORE(int, caf_resume_thunk,
              "_ZThn160_N3caf15scheduled_actor6resumeEPNS_14execution_unitEm",
              (char* resumable, void* unit, unsigned long most)) {
  void* self = resumable - 160;
  __tsan_acquire(self);
  const int left = THE_LIBRARYS(caf_resume_thunk)(resumable, unit, most);
  __tsan_release(self);
  return left;
}
STANDS_BEFORE(int, caf_blocking_enqueue,
              "_ZN3caf14blocking_actor7enqueueESt10unique_ptrINS_15mailbox_elementENS_6detail8"
              "disposerEEPNS_14execution_unitE",
              (void* self, void** element, void* unit)) {
  __tsan_release(self);
  __tsan_release(*element);
  return THE_LIBRARYS(caf_blocking_enqueue)(self, element, unit);
}
// What looks at a blocking actor's messages, one by one; it begins with the actor's address.
STANDS_BEFORE(int, caf_blocking_visit,
              "_ZN3caf14blocking_actor15mailbox_visitorclERNS_15mailbox_elementE",
              (void** visitor, void* element)) {
  __tsan_acquire(*visitor);
  return THE_LIBRARYS(caf_blocking_visit)(visitor, element);
}
STANDS_BEFORE(void, caf_release, "_ZN3caf21intrusive_ptr_releaseEPNS_19actor_control_blockE",
              (void* block)) {
  count_down(block);
  THE_LIBRARYS(caf_release)(block);
}
STANDS_BEFORE(void, caf_deref, "_ZNK3caf11ref_counted5derefEv", (void* self)) {
  count_down(self);
  THE_LIBRARYS(caf_deref)(self);
}
// Who counts down to nothing has counted before others did, maybe, and not seen them: what ends the
// object orders itself once more. An actor lies one cache line behind its references' counters.
STANDS_BEFORE(void, caf_on_destroy, "_ZN3caf11local_actor10on_destroyEv", (char* self)) {
  __tsan_acquire(self - CAF_CACHE_LINE_SIZE);
  __tsan_acquire(self);
  THE_LIBRARYS(caf_on_destroy)(self);
}
STANDS_BEFORE(void, caf_request_deletion, "_ZNK3caf14memory_managed16request_deletionEb",
              (void* self, bool counted)) {
  __tsan_acquire(self);
  THE_LIBRARYS(caf_request_deletion)(self, counted);
}

// -- gRPC -----------------------------------------------------------------------------------------

// What a thread did before it started operations, whoever takes their completion from the queue
// sees.
STANDS_BEFORE(int, grpc_start, "grpc_call_start_batch",
              (void* call, const void* operations, unsigned long count, void* tag, void* rest)) {
  __tsan_release(tag);
  return THE_LIBRARYS(grpc_start)(call, operations, count, tag, rest);
}
STANDS_BEFORE(grpc_event, grpc_next, "grpc_completion_queue_next",
              (void* queue, gpr_timespec until, void* rest)) {
  const auto event = THE_LIBRARYS(grpc_next)(queue, until, rest);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}
STANDS_BEFORE(grpc_event, grpc_pluck, "grpc_completion_queue_pluck",
              (void* queue, void* tag, gpr_timespec until, void* rest)) {
  const auto event = THE_LIBRARYS(grpc_pluck)(queue, tag, until, rest);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(tag);
  return event;
}
// A call's last reaction comes after all others. Its counters, which gRPC's headers count down in
// our programs and its library in its own code, lie behind the pointer to its virtual functions.
STANDS_BEFORE(void, grpc_on_done, "_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb",
              (char* call, bool in_line)) {
  __tsan_acquire(call + 12);
  THE_LIBRARYS(grpc_on_done)(call, in_line);
}
STANDS_BEFORE(void, grpc_on_cancel,
              "_ZN4grpc8internal18ServerCallbackCall12CallOnCancelEPNS0_13ServerReactorE",
              (char* call, void* reactor)) {
  __tsan_acquire(call + 8);
  THE_LIBRARYS(grpc_on_cancel)(call, reactor);
}
