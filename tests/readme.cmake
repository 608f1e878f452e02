# SPDX-License-Identifier: MIT
# The README shows these tutorials as they are, less the comment at their head.
cmake_minimum_required(VERSION 3.25)
file(READ ${root}/README.md readme)
foreach(tutorial 01_hello_gate 02_multi_task)
  file(READ ${root}/examples/${tutorial}.cpp text)
  string(REGEX REPLACE "^(//[^\n]*\n)+\n" "" text "${text}")
  string(FIND "${readme}" "```cpp\n${text}```\n" at)
  if(at EQUAL -1)
    message(SEND_ERROR "README.md: no block equals examples/${tutorial}.cpp")
  endif()
endforeach()
