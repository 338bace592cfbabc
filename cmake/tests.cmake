# Every tests/{unit,golden,kernels}/**/test_*.c is one cmocka program, linked with the static
# library; every tests/fuzz/<parser>/fuzz.c is also built as a program that replays its corpus.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
file(GLOB_RECURSE test_sources CONFIGURE_DEPENDS tests/unit/test_*.c tests/golden/test_*.c tests/kernels/test_*.c)
file(GLOB support_sources CONFIGURE_DEPENDS tests/support/*.c tests/kernels/emulated_*.c)
# 64-byte vectors in a build without AVX-512: no ABI to keep, optimised or the tests crawl.
set_source_files_properties(tests/kernels/emulated_avx512.c tests/kernels/emulated_avx512bf16.c PROPERTIES COMPILE_OPTIONS "-Wno-psabi;-O2")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(tests/kernels/x86/test_amx.c PROPERTIES COMPILE_OPTIONS "-mamx-tile;-mamx-int8;-mamx-bf16")
endif()
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
target_link_libraries(make_om PRIVATE test_support)
target_link_libraries(make_graph PRIVATE test_support)
target_link_libraries(encode_n PRIVATE tuwen_static)

# The command with tiles on every processor with AVX-512: the same objects but that which asks for tiles.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_executable(tuwen_trapped $<TARGET_OBJECTS:tuwen_command> tests/tools/trapped/probe.c)
  set_target_properties(tuwen_trapped PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(tuwen_trapped PRIVATE test_support PkgConfig::CRYPTO)
endif()

# A stand-in for SOPHON's two libraries: one source, of which each name is used in part.
foreach(name libbmlib.so.0 libbmrt.so.1.0)
  add_library(standin_${name} SHARED tests/support/sophon/standin.c)
  set_target_properties(standin_${name} PROPERTIES OUTPUT_NAME ${name} PREFIX "" SUFFIX ""
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/sophon)
  target_include_directories(standin_${name} PRIVATE include src)
  target_link_libraries(standin_${name} PRIVATE m)
endforeach()
target_compile_definitions(test_support PUBLIC TEST_SOPHON_DIR="${CMAKE_BINARY_DIR}/tests/sophon")

# The layer over Cambricon's MagicMind is C++; it is compiled here alone, against a stand-in for its
# headers and libraries. Without a C++ compiler its tests are skipped.
include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
  enable_language(CXX)
  set(magicmind ${CMAKE_BINARY_DIR}/tests/magicmind)
  add_library(standin_cnrt SHARED tests/support/magicmind/cnrt.c)
  add_library(standin_magicmind SHARED tests/support/magicmind/magicmind.cpp tests/support/magicmind/towers.c)
  add_library(tuwen_magicmind SHARED src/backend/magicmind/shim.cpp)
  add_library(tuwen_magicmind_other SHARED src/backend/magicmind/shim.cpp)
  target_compile_definitions(tuwen_magicmind_other PRIVATE TW_MM_ABI=2u)
  foreach(target standin_cnrt standin_magicmind tuwen_magicmind tuwen_magicmind_other)
    target_include_directories(${target} PRIVATE src tests/support/magicmind/include)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${magicmind}
      CXX_STANDARD 11 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
  endforeach()
  foreach(target standin_cnrt standin_magicmind)
    target_compile_options(${target} PRIVATE -fvisibility=default)
  endforeach()
  set_target_properties(standin_cnrt PROPERTIES OUTPUT_NAME cnrt LIBRARY_OUTPUT_DIRECTORY ${magicmind}/lib64)
  set_target_properties(standin_magicmind PROPERTIES OUTPUT_NAME magicmind_runtime LIBRARY_OUTPUT_DIRECTORY ${magicmind}/lib64)
  set_target_properties(tuwen_magicmind_other PROPERTIES OUTPUT_NAME tuwen_magicmind LIBRARY_OUTPUT_DIRECTORY ${magicmind}/other)
  target_link_libraries(standin_cnrt PRIVATE Threads::Threads)
  target_link_libraries(standin_magicmind PRIVATE standin_cnrt tuwen_static)
  target_link_options(standin_magicmind PRIVATE -Wl,--exclude-libs,ALL)
  target_link_libraries(tuwen_magicmind PRIVATE standin_magicmind standin_cnrt)
  target_link_libraries(tuwen_magicmind_other PRIVATE standin_magicmind standin_cnrt)
  target_compile_definitions(test_support PUBLIC TEST_MAGICMIND_DIR="${magicmind}")
endif()

# A stand-in for libascendcl that computes with the engine; what it links stays inside.
add_library(standin_ascendcl SHARED tests/support/ascend/standin.c)
set_target_properties(standin_ascendcl PROPERTIES OUTPUT_NAME ascendcl
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/ascend)
target_include_directories(standin_ascendcl PRIVATE include src)
target_link_libraries(standin_ascendcl PRIVATE tuwen_static m)
target_link_options(standin_ascendcl PRIVATE -Wl,--exclude-libs,ALL)
target_compile_definitions(test_support PUBLIC TEST_ASCEND_DIR="${CMAKE_BINARY_DIR}/tests/ascend")

# One for ONNX Runtime, as far as the session; and, for its version, for TensorRT.
foreach(name libonnxruntime.so.1 libnvinfer.so.10)
  add_library(standin_${name} SHARED tests/support/onnxruntime/standin.c)
  set_target_properties(standin_${name} PROPERTIES OUTPUT_NAME ${name} PREFIX "" SUFFIX ""
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/onnxruntime)
endforeach()
