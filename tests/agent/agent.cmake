# The agent's own modules and the real binary against a test's own ingest.
forestall_test(test_agent SOURCES test_agent.c peer.c LINKS forestall_agent_run ROOT TIMEOUT 180)
add_dependencies(test_agent forestall-agent forestall-supervisor)
