"""The sandbox: real text, real models, a loopback cluster and an application, for the demo and for tests."""
