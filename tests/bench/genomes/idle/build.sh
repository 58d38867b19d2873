mkdir -p build && cp agent.sh build/agent && chmod 755 build/agent
