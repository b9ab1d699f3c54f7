# What every target shares: language level, warnings, sanitizers, include root, and three ways to declare a target.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(RDKAFKA REQUIRED IMPORTED_TARGET rdkafka>=2.0)
pkg_check_modules(AVRO REQUIRED IMPORTED_TARGET avro-c)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
find_library(OPENBLAS_LIBRARY NAMES openblas REQUIRED)
find_path(OPENBLAS_INCLUDE NAMES cblas.h PATH_SUFFIXES openblas x86_64-linux-gnu openblas-pthread REQUIRED)
add_library(forestall_openblas INTERFACE)
target_link_libraries(forestall_openblas INTERFACE ${OPENBLAS_LIBRARY})
target_include_directories(forestall_openblas SYSTEM INTERFACE ${OPENBLAS_INCLUDE})

add_library(forestall_options INTERFACE)
target_include_directories(forestall_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_definitions(forestall_options INTERFACE _GNU_SOURCE FORESTALL_VERSION="${PROJECT_VERSION}")
target_compile_options(forestall_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wformat=2 -fno-strict-aliasing -fstack-protector-strong)
if(FORESTALL_WERROR)
  target_compile_options(forestall_options INTERFACE -Werror)
endif()
if(FORESTALL_SANITIZE)
  target_compile_options(forestall_options INTERFACE -fsanitize=${FORESTALL_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(forestall_options INTERFACE -fsanitize=${FORESTALL_SANITIZE})
endif()
if(FORESTALL_FUZZ) # coverage for libFuzzer; each fuzzer links -fsanitize=fuzzer itself
  target_compile_options(forestall_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# forestall_library(NAME SOURCES ... LINKS ...): links are PUBLIC so that a layer's headers bring what they need.
function(forestall_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC forestall_options ${ARG_LINKS})
endfunction()

# forestall_program(NAME SOURCES ... LINKS ...): lands in build/<preset>/bin/NAME.
function(forestall_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE forestall_options ${ARG_LINKS})
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# All tests with the label `threads`: all that ThreadSanitizer's tree is built for.
add_custom_target(threads_tests)

# forestall_test(NAME SOURCES ... LINKS ... [ROOT] [ALLOCATIONS] [COST s] [TIMEOUT s] [LABELS ...]): one cmocka binary.
# ROOT marks a test that needs root and cgroups; it skips itself loudly without them, and nothing runs beside it, because it
# measures the machine. ALLOCATIONS puts tests/support/allocations.h between the program and the heap. COST, about the
# seconds that a long one takes: these begin first, so that none of them runs on when all others have ended.
function(forestall_test name)
  cmake_parse_arguments(ARG "ROOT;ALLOCATIONS" "COST;TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE forestall_options ${ARG_LINKS} PkgConfig::CMOCKA)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(ARG_ALLOCATIONS)
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/support/allocations.c)
    target_link_options(${name} PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
  endif()
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  if("threads" IN_LIST ARG_LABELS)
    add_dependencies(threads_tests ${name})
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  if(ARG_ROOT)
    list(APPEND ARG_LABELS root)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  else()
    list(APPEND ARG_LABELS unit)
  endif()
  if(ARG_COST)
    set_tests_properties(${name} PROPERTIES COST ${ARG_COST})
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    ENVIRONMENT "FORESTALL_BIN=${CMAKE_BINARY_DIR}/bin;FORESTALL_SOURCE=${CMAKE_SOURCE_DIR};OPENBLAS_NUM_THREADS=1")
endfunction()

# forestall_system_test(NAME FILE.py [ROOT] [ALONE] [COST s] [TIMEOUT s]): an end-to-end test in Python, of the folder that
# calls. It waits most of the time, on servers, ports and directories of its own (tests/support/cluster.py), so it runs
# beside others. ROOT, COST: as above. ALONE: nothing runs beside it, as with ROOT.
function(forestall_system_test name file)
  cmake_parse_arguments(ARG "ROOT;ALONE" "COST;TIMEOUT" "" ${ARGN})
  add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/support/pytest.sh ${CMAKE_CURRENT_SOURCE_DIR}/${file}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 480)
  endif()
  set(labels system)
  if(ARG_ROOT)
    list(APPEND labels root)
  endif()
  if(ARG_ROOT OR ARG_ALONE)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
  if(ARG_COST)
    set_tests_properties(${name} PROPERTIES COST ${ARG_COST})
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${labels}" ENVIRONMENT
    "FORESTALL_BIN=${CMAKE_BINARY_DIR}/bin;FORESTALL_TESTS=${CMAKE_BINARY_DIR}/tests;FORESTALL_SOURCE=${CMAKE_SOURCE_DIR};OPENBLAS_NUM_THREADS=1")
endfunction()
