# SPDX-License-Identifier: MIT
# Builds a source with each of the compilers and compares what the programs print.
cmake_minimum_required(VERSION 3.25)

string(REPLACE ":" ";" compilers ${compilers})
string(REPLACE ":" ";-isystem;" eigen ${eigen})
foreach(compiler IN LISTS compilers)
  cmake_path(GET compiler FILENAME name)
  set(program ${directory}/${name}-gates)
  execute_process(
    COMMAND ${compiler} -std=c++20 -O2 -march=native -ffp-contract=off
      -I${include_dir} -isystem ${eigen} ${source} -o ${program}
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${program} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
  if(NOT printed MATCHES "softmax n=5 float32")
    message(FATAL_ERROR "${program} printed\n${printed}")
  elseif(NOT DEFINED first)
    set(first "${printed}")
  elseif(NOT printed STREQUAL first)
    message(FATAL_ERROR "${compilers}: expected equal bits, got\n${first}and\n${printed}")
  endif()
endforeach()
