# What every source is compiled with, and the kernels of one instruction set besides. Also of
# tests/arm, which is a project of its own: another compiler makes it.
get_filename_component(tuwen_root ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
add_compile_options(-Wall -Wextra -Wshadow "$<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes>" -Wvla
                    -Wno-unused-parameter -fvisibility=hidden -ffp-contract=off -fno-math-errno)
add_compile_definitions(_POSIX_C_SOURCE=200809L _FILE_OFFSET_BITS=64)

# kernel_flags(FILE OPTION…): of src/kernels/FILE.
function(kernel_flags file)
  set_property(SOURCE ${tuwen_root}/src/kernels/${file} PROPERTY COMPILE_OPTIONS ${ARGN})
endfunction()

# Kernels of one instruction set are compiled for it and only run where the processor has it: takes
# those of other architectures out of a list of sources, sets the flags of the rest. The scalar
# reference must stay scalar: it is the judge.
macro(tuwen_kernels sources)
  kernel_flags(ref/ref.c -fno-tree-vectorize -O2)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(FILTER ${sources} EXCLUDE REGEX "src/kernels/arm/")
    set(avx2 -O3 -mavx2 -mfma -mf16c)
    set(avx512 -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512)
    kernel_flags(x86/avx2.c ${avx2})
    kernel_flags(x86/avxvnni.c ${avx2} -mavxvnni)
    kernel_flags(x86/avx512.c ${avx512})
    kernel_flags(x86/avx512vnni.c ${avx512} -mavx512vnni)
    kernel_flags(x86/avx512bf16.c ${avx512} -mavx512vnni -mavx512bf16)
    kernel_flags(x86/amx.c ${avx512} -mavx512vnni -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    list(FILTER ${sources} EXCLUDE REGEX "src/kernels/x86/")
    # GCC's scheduling before register allocation hoists loads until accumulators are spilled.
    set(neon "$<$<C_COMPILER_ID:GNU>:-fno-schedule-insns>")
    kernel_flags(arm/neon.c ${neon})
    kernel_flags(arm/neondot.c ${neon} -march=armv8.2-a+dotprod)
    kernel_flags(arm/neoni8mm.c ${neon} -march=armv8.2-a+dotprod+i8mm)
  else()
    list(FILTER ${sources} EXCLUDE REGEX "src/kernels/(x86|arm)/")
  endif()
endmacro()
