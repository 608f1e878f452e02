# SPDX-License-Identifier: MIT
# Everything goes where architecture-independent files go.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/selgate)
install(TARGETS selgate EXPORT selgate-targets FILE_SET HEADERS)
install(EXPORT selgate-targets NAMESPACE selgate:: DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/selgate-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(
  FILES
    ${CMAKE_CURRENT_LIST_DIR}/selgate-config.cmake
    ${CMAKE_CURRENT_LIST_DIR}/selgate-find-eigen.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/selgate-config-version.cmake
  DESTINATION ${package_dir})

# The prefix is found from the file's own place, so the tree may be moved.
file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_DATADIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/selgate.pc.in selgate.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/selgate.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
