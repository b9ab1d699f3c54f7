# Tests of the kernel layer (agent/kernel.cmake).
forestall_test(test_cgroup_parse SOURCES test_cgroup_parse.c LINKS forestall_agent_kernel)
forestall_test(test_limit_marks SOURCES test_limit_marks.c LINKS forestall_common m)
forestall_test(test_check SOURCES test_check.c LINKS forestall_agent_kernel ROOT)

forestall_test(test_cgroup
  SOURCES
    kernel_cases.c
    kernel_loads.c
    kernel_processes.c
    test_cgroup.c
  LINKS forestall_agent_kernel
  ROOT TIMEOUT 180)

forestall_test(test_network
  SOURCES
    kernel_loads.c
    test_network.c
  LINKS forestall_agent_kernel
  ROOT TIMEOUT 120)

# The same cases on cgroup v2 under QEMU: a static program is the guest's init.
add_executable(guest_cgroup_v2
  kernel_cases.c
  kernel_loads.c
  kernel_processes.c
  qemu/guest_main.c
  ${CMAKE_SOURCE_DIR}/agent/blockdev.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_detect.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_file.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_list.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_mountinfo.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_parse.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_processes.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_sample.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_tree.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_v1.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_v1_brake.c
  ${CMAKE_SOURCE_DIR}/agent/cgroup_v2.c
  ${CMAKE_SOURCE_DIR}/agent/check.c
  ${CMAKE_SOURCE_DIR}/agent/netcount.c
  ${CMAKE_SOURCE_DIR}/agent/netshape.c
  ${CMAKE_SOURCE_DIR}/common/buffer.c
  ${CMAKE_SOURCE_DIR}/common/clock.c)
# No sanitizers here: they cannot be linked statically.
target_include_directories(guest_cgroup_v2 PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_definitions(guest_cgroup_v2 PRIVATE _GNU_SOURCE)
target_link_libraries(guest_cgroup_v2 PRIVATE Threads::Threads m -static)
set_target_properties(guest_cgroup_v2 PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME test_cgroup_v2 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/qemu/run.sh $<TARGET_FILE:guest_cgroup_v2> 120)
set_tests_properties(test_cgroup_v2 PROPERTIES TIMEOUT 240 SKIP_RETURN_CODE 77 LABELS "qemu" RUN_SERIAL TRUE)
