# SPDX-License-Identifier: MIT
# What a header must have, and what it may not do to the program that includes it.
cmake_minimum_required(VERSION 3.25)

set(problems "")
macro(problem text)
  string(APPEND problems "\n  ${text}")
endmacro()

file(GLOB_RECURSE headers RELATIVE ${include_dir} ${include_dir}/*.hpp)
foreach(header IN LISTS headers)
  file(READ ${include_dir}/${header} text)
  if(NOT text MATCHES "^// SPDX-License-Identifier: MIT\n#pragma once\n")
    problem("${header}: begins with neither licence nor #pragma once")
  endif()
  if(text MATCHES "\n *# *define +(SELGATE_)?([A-Za-z0-9_]+)" AND NOT CMAKE_MATCH_1)
    problem("${header}: macro ${CMAKE_MATCH_2} without the prefix SELGATE_")
  endif()
  if(text MATCHES "\nusing namespace")
    problem("${header}: using namespace")
  endif()
  if(text MATCHES "# *include +<(iostream|cstdio|stdio.h|print)>")
    problem("${header}: <${CMAKE_MATCH_1}>: the library never prints")
  endif()
endforeach()

if(NOT headers OR problems)
  message(FATAL_ERROR "Headers:${problems}")
endif()
