acl = "read" operator = "write" keyring = "deny"
agent "a" { policy = "read" } agent_prefix "ap" { policy = "write" }
key "k" { policy = "list" } key_prefix "" { policy = "deny" sentinel { code = "x" } }
service "s" { policy = "write" intentions = "deny" } service_prefix "" { policy = "read" }
node { n { policy = "read" } } session "x" { policy = "read" } event_prefix "ep" { policy = "write" }
query "q" { policy = "read" }
