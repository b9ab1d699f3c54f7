# Tests of the kernel layer (agent/kernel.cmake).
forestall_test(test_cgroup
  SOURCES
    kernel_cases.c
    test_cgroup.c
  LINKS forestall_agent_kernel
  ROOT TIMEOUT 180)

forestall_test(test_network
  SOURCES
    kernel_cases.c
    test_network.c
  LINKS forestall_agent_kernel
  ROOT TIMEOUT 120)
