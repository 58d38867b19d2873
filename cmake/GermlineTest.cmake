# germline_test(NAME LABEL label SOURCES ... LIBS ... [TIMEOUT s]) adds one doctest program and its
# ctest entry. A test program in which no case ran is a failure (tests/doctest_main.cpp sees to it).
find_package(doctest REQUIRED)
add_library(germline_doctest_main STATIC ${PROJECT_SOURCE_DIR}/tests/doctest_main.cpp)
target_link_libraries(germline_doctest_main PUBLIC germline::options doctest::doctest)

function(germline_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE germline_doctest_main ${ARG_LIBS})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
