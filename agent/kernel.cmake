# The kernel layer: cgroups (v1/hybrid and v2), network counting and shaping, the machine check.
forestall_library(forestall_agent_kernel
  SOURCES
    blockdev.c
    cgroup.c
    cgroup_detect.c
    cgroup_file.c
    cgroup_list.c
    cgroup_mountinfo.c
    cgroup_parse.c
    cgroup_processes.c
    cgroup_sample.c
    cgroup_tree.c
    cgroup_v1.c
    cgroup_v1_brake.c
    cgroup_v2.c
    check.c
    netcount.c
    netshape.c
  LINKS forestall_common Threads::Threads m)
