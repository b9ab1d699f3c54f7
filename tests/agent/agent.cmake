# The real agent and its supervisors against a test's own ingest. Needs root and cgroups.
forestall_library(forestall_test_agent SOURCES hung_fs.c peer.c peer_agent.c scenario.c LINKS forestall_agent_run PkgConfig::CMOCKA)

foreach(part attempts memory offers start restart removal errors load)
  forestall_test(test_agent_${part} SOURCES test_agent_${part}.c LINKS forestall_test_agent ROOT TIMEOUT 120)
  add_dependencies(test_agent_${part} forestall-agent forestall-supervisor)
endforeach()

forestall_test(test_disk SOURCES test_disk.c LINKS forestall_agent_core)
forestall_test(test_link SOURCES test_link.c LINKS forestall_agent_link)
forestall_test(test_placements SOURCES test_placements.c LINKS forestall_agent_core)
forestall_test(test_remover SOURCES test_remover.c LINKS forestall_agent_core LABELS threads)
forestall_test(test_spool SOURCES test_spool.c LINKS forestall_agent_core)
