# SPDX-License-Identifier: MIT
# Builds a source with each of the compilers and compares what the programs print; then as users do,
# with fused multiply-adds, where the program's own verdict counts.
cmake_minimum_required(VERSION 3.25)

string(REPLACE ":" ";" compilers ${compilers})
string(REPLACE ":" ";-isystem;" eigen ${eigen})
function(run compiler printed)
  cmake_path(GET compiler FILENAME name)
  set(program ${directory}/${name}-gates)
  execute_process(
    COMMAND ${compiler} -std=c++20 -march=native ${ARGN}
      -I${include_dir} -isystem ${eigen} ${source} -o ${program}
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${program} OUTPUT_VARIABLE lines RESULT_VARIABLE result)
  if(NOT result EQUAL 0 OR NOT lines MATCHES "softmax n=5 float32")
    message(FATAL_ERROR "${program} (${ARGN}) ended with ${result} and printed\n${lines}")
  endif()
  set(${printed} "${lines}" PARENT_SCOPE)
endfunction()

foreach(compiler IN LISTS compilers)
  run(${compiler} lines -O2 -ffp-contract=off)
  if(NOT DEFINED first)
    set(first "${lines}")
  elseif(NOT lines STREQUAL first)
    message(FATAL_ERROR "${compilers}: expected equal bits, got\n${first}and\n${lines}")
  endif()
endforeach()
foreach(compiler IN LISTS compilers)
  run(${compiler} lines -O3)
endforeach()
