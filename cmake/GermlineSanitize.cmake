# Sanitizers, by GERMLINE_SANITIZE, for every target of this build but those that turn them off for
# themselves (what runs inside a sandbox as its pid 1 is static, and no sanitizer is).
set(GERMLINE_SANITIZE "" CACHE STRING "Comma-separated -fsanitize= list: address,undefined or thread")
set(GERMLINE_TIMEOUT_FACTOR 1)

# germline_unsanitized(TARGET ...) turns sanitizers off for what is built of it.
function(germline_unsanitized)
  foreach(target ${ARGN})
    set_target_properties(${target} PROPERTIES GERMLINE_UNSANITIZED TRUE)
    target_compile_options(${target} PRIVATE -fno-sanitize=all)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "EXECUTABLE")
      target_link_options(${target} PRIVATE -fno-sanitize=all)
    endif()
  endforeach()
endfunction()

# germline_runs_in_sandbox(PROGRAM) says so of a program that sanitizers are not turned off for.
function(germline_runs_in_sandbox program)
  if(GERMLINE_SANITIZE MATCHES "address")
    target_sources(${program} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/no_leak_check.cpp)
  endif()
endfunction()

if(NOT GERMLINE_SANITIZE)
  return()
endif()

set(GERMLINE_TIMEOUT_FACTOR 4)  # sanitized code is slow, and so is what waits for it
string(CONCAT GERMLINE_SANITIZER_REPORT "ERROR: (Address|Leak)Sanitizer|runtime error: |"
  "WARNING: ThreadSanitizer|FATAL: ThreadSanitizer|Sanitizer: CHECK failed|Sanitizer:DEADLYSIGNAL")
add_compile_options(-fsanitize=${GERMLINE_SANITIZE} -fno-omit-frame-pointer
  -fno-sanitize-recover=all)
add_link_options(-fsanitize=${GERMLINE_SANITIZE})
add_compile_definitions(_GLIBCXX_ASSERTIONS)
if(GERMLINE_SANITIZE MATCHES "undefined")
  # Checks before each access of a member: they double the time to compile. A null pointer's use is
  # AddressSanitizer's to see; x86 and arm64 bear what is not aligned.
  add_compile_options(-fno-sanitize=null,alignment,vptr)
endif()
if(GERMLINE_SANITIZE MATCHES "thread")
  add_compile_options(-Wno-tsan)  # Boost.Asio's fences, which it cannot see; its locks it can
endif()

# The sanitizers' options stand in each program: the environment does not get through to the zygote,
# the gateway, or into a sandbox, and shall not. ASAN_OPTIONS, UBSAN_OPTIONS and TSAN_OPTIONS add to
# them where it does.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/tools/tsan.supp)
file(READ ${PROJECT_SOURCE_DIR}/tools/tsan.supp GERMLINE_TSAN_SUPPRESSIONS)
configure_file(${PROJECT_SOURCE_DIR}/cmake/sanitizer_options.cpp.in
  ${PROJECT_BINARY_DIR}/sanitizer_options.cpp @ONLY)
add_library(germline_sanitizer_options OBJECT ${PROJECT_BINARY_DIR}/sanitizer_options.cpp)
target_compile_options(germline_sanitizer_options PRIVATE -fno-sanitize=all)
if(GERMLINE_SANITIZE MATCHES "thread")
  target_sources(germline_sanitizer_options PRIVATE ${PROJECT_SOURCE_DIR}/cmake/tsan_edges.cpp)
endif()
set(sanitized "$<NOT:$<BOOL:$<TARGET_PROPERTY:GERMLINE_UNSANITIZED>>>")
set(program "$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>")
link_libraries($<$<AND:${sanitized},${program}>:germline_sanitizer_options>)

# ThreadSanitizer's shadow lies where a kernel with more than 28 random bits may put a mapping.
if(GERMLINE_SANITIZE MATCHES "thread" AND EXISTS /proc/sys/vm/mmap_rnd_bits)
  file(READ /proc/sys/vm/mmap_rnd_bits random_bits)
  if(random_bits GREATER 28)
    set(GERMLINE_TEST_LAUNCHER setarch -R)
  endif()
endif()
