# SPDX-License-Identifier: MIT
# Compiles a source that says in its head what the compiler must answer:
#
#   // error: a regular expression
#   // flags: -more -options          (if any)
cmake_minimum_required(VERSION 3.25)

file(READ ${source} text)
if(NOT text MATCHES "// error: ([^\n]+)")
  message(FATAL_ERROR "${source}: no line '// error: ...'")
endif()
set(expected "${CMAKE_MATCH_1}")
set(flags "")
if(text MATCHES "// flags: ([^\n]+)")
  separate_arguments(flags UNIX_COMMAND "${CMAKE_MATCH_1}")
endif()

set(ENV{LC_ALL} C)  # plain quotes in the compiler's answer
execute_process(
  COMMAND ${compiler} -std=c++20 -fsyntax-only -I${selgate} -isystem ${eigen} ${flags} ${source}
  RESULT_VARIABLE code
  OUTPUT_VARIABLE answer
  ERROR_VARIABLE answer)
if(code EQUAL 0)
  message(FATAL_ERROR "${source}: compiles")
elseif(NOT answer MATCHES "${expected}")
  message(FATAL_ERROR "${source}: expected \"${expected}\", got\n${answer}")
endif()
