# germline_test(NAME LABEL label SOURCES ... LIBS ... [TIMEOUT s]) adds one doctest program and its
# ctest entry. A test program in which no case ran is a failure (tests/doctest_main.cpp sees to it).
# germline_script_test(NAME LABEL labels COMMAND ... [TIMEOUT s] [SERIAL] [UNSANITIZED]) adds a test
# that is a script. UNSANITIZED: the sanitizer presets leave it out, for the reason given with it.
find_package(doctest REQUIRED)
add_library(germline_doctest_main STATIC ${PROJECT_SOURCE_DIR}/tests/doctest_main.cpp)
target_link_libraries(germline_doctest_main PUBLIC germline::options doctest::doctest)

function(germline_add_test name command label timeout)
  if(NOT timeout)
    set(timeout 60)
  endif()
  math(EXPR timeout "${timeout} * ${GERMLINE_TIMEOUT_FACTOR}")
  add_test(NAME ${name} COMMAND ${GERMLINE_TEST_LAUNCHER} ${command})
  set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${timeout})
  if(GERMLINE_SANITIZE)
    # What a process that the test started says, though nobody asks how it ended.
    set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "${GERMLINE_SANITIZER_REPORT}")
  endif()
endfunction()

function(germline_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE germline_doctest_main ${ARG_LIBS})
  germline_add_test(${name} $<TARGET_FILE:${name}> ${ARG_LABEL} "${ARG_TIMEOUT}")
endfunction()

function(germline_script_test name)
  cmake_parse_arguments(ARG "SERIAL;UNSANITIZED" "TIMEOUT" "LABEL;COMMAND" ${ARGN})
  if(ARG_UNSANITIZED)
    list(APPEND ARG_LABEL unsanitized)
  endif()
  germline_add_test(${name} "${ARG_COMMAND}" "${ARG_LABEL}" "${ARG_TIMEOUT}")
  if(ARG_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()
