# SPDX-License-Identifier: MIT
# Checks that an include only ever points down:
#
#   cmake -D include_dir=include -P cmake/include_floors.cmake
#
# A header may include its own folder and the folders of lower floors; folders on one floor do not
# know each other; there is no circle; a program's header (selgate.hpp, testing.hpp) is included by
# nobody. selgate.hpp brings the whole of floors 0 to 4 and of train/, and nothing else. A header that
# names Eigen:: brings <Eigen/Core>, itself or by what it includes.
cmake_minimum_required(VERSION 3.25)

set(floors
  "version.hpp core"
  "math"
  "layer loss metric optim"
  "gate"
  "mixture"
  "train io testing"
  "selgate.hpp testing.hpp")
set(umbrella selgate.hpp version.hpp core math layer loss metric optim gate mixture train)

set(floor 0)
foreach(names IN LISTS floors)
  separate_arguments(names)
  foreach(name IN LISTS names)
    set(floor_of_${name} ${floor})
  endforeach()
  math(EXPR floor "${floor} + 1")
endforeach()

set(problems "")
macro(problem text)
  string(APPEND problems "\n  ${text}")
endmacro()

cmake_path(ABSOLUTE_PATH include_dir)
file(GLOB_RECURSE headers RELATIVE ${include_dir}/selgate ${include_dir}/selgate/*.hpp)
if(NOT headers)
  problem("no header in ${include_dir}/selgate")
endif()
foreach(header IN LISTS headers)
  string(REGEX REPLACE "/.*" "" folder ${header})
  if(NOT DEFINED floor_of_${folder})
    problem("${header}: is on no floor")
    continue()
  endif()
  file(STRINGS ${include_dir}/selgate/${header} lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "<([^>]+)>")
      problem("${header}: write <selgate/...>: ${line}")
    elseif(CMAKE_MATCH_1 STREQUAL "Eigen/Core")
      set(brings_eigen_${header} TRUE)
    elseif(CMAKE_MATCH_1 MATCHES "^selgate/(([^/]+).*)$")
      set(included ${CMAKE_MATCH_1})
      set(included_folder ${CMAKE_MATCH_2})
      list(APPEND includes_of_${header} ${included})
      if(NOT included IN_LIST headers)
        problem("${header}: includes ${included}, which is not there")
      elseif(NOT folder STREQUAL included_folder
             AND NOT floor_of_${included_folder} LESS floor_of_${folder})
        problem("${header}: includes ${included}, which is not on a lower floor")
      endif()
    endif()
  endforeach()
endforeach()

# A circle is what remains after taking away, again and again, every header that includes none of
# those that remain.
set(remaining ${headers})
set(before 0)
list(LENGTH remaining count)
while(NOT count EQUAL before)
  set(before ${count})
  foreach(header IN LISTS remaining)
    set(blocked FALSE)
    foreach(included IN LISTS includes_of_${header})
      if(included IN_LIST remaining)
        set(blocked TRUE)
      elseif(brings_eigen_${included})
        set(brings_eigen_${header} TRUE)
      endif()
    endforeach()
    if(blocked)
      continue()
    endif()
    list(REMOVE_ITEM remaining ${header})
    file(STRINGS ${include_dir}/selgate/${header} naming REGEX "Eigen::")
    if(naming AND NOT brings_eigen_${header})
      problem("${header}: names Eigen:: without <Eigen/Core>")
    endif()
  endforeach()
  list(LENGTH remaining count)
endwhile()
if(remaining)
  problem("a circle of includes among or below: ${remaining}")
endif()

if("selgate.hpp" IN_LIST headers)
  set(reached selgate.hpp)
  set(next selgate.hpp)
  while(next)
    list(POP_FRONT next header)
    foreach(included IN LISTS includes_of_${header})
      if(NOT included IN_LIST reached)
        list(APPEND reached ${included})
        list(APPEND next ${included})
      endif()
    endforeach()
  endwhile()
  foreach(header IN LISTS headers)
    string(REGEX REPLACE "/.*" "" folder ${header})
    if(folder IN_LIST umbrella AND NOT header IN_LIST reached)
      problem("selgate.hpp: does not bring ${header}")
    elseif(header IN_LIST reached AND NOT folder IN_LIST umbrella)
      problem("selgate.hpp: brings ${header}")
    endif()
  endforeach()
endif()

if(problems)
  message(FATAL_ERROR "Includes that do not point down:${problems}")
endif()
list(LENGTH headers count)
message(STATUS "${count} headers, every include points down")
