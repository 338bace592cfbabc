# Every tests/{unit,golden,kernels}/**/test_*.c is one cmocka program, linked with the static
# library; every tests/fuzz/<parser>/fuzz.c is also built as a program that replays its corpus.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
file(GLOB_RECURSE test_sources CONFIGURE_DEPENDS tests/unit/test_*.c tests/golden/test_*.c tests/kernels/test_*.c)
file(GLOB support_sources CONFIGURE_DEPENDS tests/support/*.c tests/kernels/emulated_*.c)
# 64-byte vectors in a build without AVX-512: no ABI to keep, optimised or the tests crawl.
set_source_files_properties(tests/kernels/emulated_avx512.c PROPERTIES COMPILE_OPTIONS "-Wno-psabi;-O2")
add_library(test_support STATIC ${support_sources})
target_include_directories(test_support PUBLIC tests/support src)
target_link_libraries(test_support PUBLIC tuwen_static PkgConfig::CMOCKA)
target_compile_definitions(test_support PUBLIC TEST_DATA_DIR="${CMAKE_SOURCE_DIR}/tests/data"
  TEST_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
foreach(source ${test_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE test_support)
endforeach()

file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/*/fuzz.c)
foreach(source ${fuzz_sources})
  get_filename_component(dir ${source} DIRECTORY)
  get_filename_component(parser ${dir} NAME)
  add_executable(replay_${parser} ${source} tests/fuzz/replay.c)
  set_target_properties(replay_${parser} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(replay_${parser} PRIVATE src)
  target_link_libraries(replay_${parser} PRIVATE tuwen_static)
endforeach()

# The examples are compiled as a user would: public headers and the shared library.
file(GLOB example_sources CONFIGURE_DEPENDS examples/*.c)
foreach(source ${example_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(example_${name} ${source})
  set_target_properties(example_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/examples)
  target_link_libraries(example_${name} PRIVATE tuwen_shared)
endforeach()

# What the scripts of tests/cli/ need beside the command.
file(GLOB tool_sources CONFIGURE_DEPENDS tests/tools/*.c)
foreach(source ${tool_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endforeach()
target_link_libraries(make_bmodel PRIVATE test_support)

# A stand-in for SOPHON's two libraries: one source, of which each name is used in part.
foreach(name libbmlib.so.0 libbmrt.so.1.0)
  add_library(standin_${name} SHARED tests/support/sophon/standin.c)
  set_target_properties(standin_${name} PROPERTIES OUTPUT_NAME ${name} PREFIX "" SUFFIX ""
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/sophon)
  target_include_directories(standin_${name} PRIVATE include src)
  target_link_libraries(standin_${name} PRIVATE m)
endforeach()
target_compile_definitions(test_support PUBLIC TEST_SOPHON_DIR="${CMAKE_BINARY_DIR}/tests/sophon")
