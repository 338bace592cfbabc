# make install: command, both libraries, headers, pkg-config file, CMake package.
include(CMakePackageConfigHelpers)
install(TARGETS tuwen_static tuwen_shared EXPORT tuwen-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET tuwen)
  install(TARGETS tuwen RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/tuwen DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# tuwen::shared and tuwen::static; a static link needs the libraries the archive uses.
set_target_properties(tuwen_static PROPERTIES EXPORT_NAME static)
set_target_properties(tuwen_shared PROPERTIES EXPORT_NAME shared)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tuwen)
install(EXPORT tuwen-targets NAMESPACE tuwen:: DESTINATION ${package_dir})
configure_package_config_file(cmake/tuwen-config.cmake.in ${CMAKE_BINARY_DIR}/tuwen-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/tuwen-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/tuwen-config.cmake ${CMAKE_BINARY_DIR}/tuwen-config-version.cmake
  DESTINATION ${package_dir})

# Where the package lands is known only at install time (--prefix): the file finds its prefix from
# its own folder.
file(RELATIVE_PATH PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/tuwen.pc.in ${CMAKE_BINARY_DIR}/tuwen.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/tuwen.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
