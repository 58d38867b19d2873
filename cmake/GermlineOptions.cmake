# Compiler settings that hold for every target: warnings as errors.
option(GERMLINE_WERROR "Treat warnings as errors" ON)

add_library(germline_options INTERFACE)
add_library(germline::options ALIAS germline_options)
target_compile_options(germline_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  -Wno-missing-field-initializers
  -Wno-restrict  # GCC 12 reports std::string's operator+ falsely (GCC bug 105651)
  $<$<BOOL:${GERMLINE_WERROR}>:-Werror>)
target_include_directories(germline_options INTERFACE ${PROJECT_SOURCE_DIR})

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# germline_library(NAME SOURCES ... [PUBLIC libs] [PRIVATE libs]) declares germline::NAME.
function(germline_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(germline_${name} STATIC ${ARG_SOURCES})
  add_library(germline::${name} ALIAS germline_${name})
  target_link_libraries(germline_${name} PUBLIC germline::options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()
