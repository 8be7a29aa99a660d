"""The ATT&CK techniques that Soma's detectors can name (MITRE ATT&CK Enterprise)."""

from __future__ import annotations

from infraspectre.records import Technique

NETWORK_SERVICE_DISCOVERY = Technique("T1046", "Network Service Discovery")
SCANNING_IP_BLOCKS = Technique("T1595.001", "Active Scanning: Scanning IP Blocks")
VULNERABILITY_SCANNING = Technique("T1595.002", "Active Scanning: Vulnerability Scanning")
REMOTE_SYSTEM_DISCOVERY = Technique("T1018", "Remote System Discovery")
PASSWORD_GUESSING = Technique("T1110.001", "Brute Force: Password Guessing")
PASSWORD_SPRAYING = Technique("T1110.003", "Brute Force: Password Spraying")
KERBEROASTING = Technique("T1558.003", "Steal or Forge Kerberos Tickets: Kerberoasting")
PASS_THE_HASH = Technique("T1550.002", "Use Alternate Authentication Material: Pass the Hash")
DIRECT_FLOOD = Technique("T1498.001", "Network Denial of Service: Direct Network Flood")
REFLECTION = Technique("T1498.002", "Network Denial of Service: Reflection Amplification")
SERVICE_FLOOD = Technique("T1499.002", "Endpoint Denial of Service: Service Exhaustion Flood")
WEB_PROTOCOLS = Technique("T1071.001", "Application Layer Protocol: Web Protocols")
DNS = Technique("T1071.004", "Application Layer Protocol: DNS")
DOMAIN_GENERATION = Technique("T1568.002", "Dynamic Resolution: Domain Generation Algorithms")
NON_APPLICATION_PROTOCOL = Technique("T1095", "Non-Application Layer Protocol")
ENCRYPTED_CHANNEL = Technique("T1573", "Encrypted Channel")
ASYMMETRIC_CRYPTOGRAPHY = Technique("T1573.002", "Encrypted Channel: Asymmetric Cryptography")
PROTOCOL_TUNNELING = Technique("T1572", "Protocol Tunneling")
ALTERNATIVE_PROTOCOL = Technique("T1048", "Exfiltration Over Alternative Protocol")
ENCRYPTED_ALTERNATIVE = Technique(
    "T1048.002", "Exfiltration Over Alternative Protocol: Exfiltration Over Asymmetric Encrypted Non-C2 Protocol"
)
UNENCRYPTED_ALTERNATIVE = Technique(
    "T1048.003", "Exfiltration Over Alternative Protocol: Exfiltration Over Unencrypted Non-C2 Protocol"
)
REMOTE_DESKTOP = Technique("T1021.001", "Remote Services: Remote Desktop Protocol")
ADMIN_SHARES = Technique("T1021.002", "Remote Services: SMB/Windows Admin Shares")
DISTRIBUTED_COM = Technique("T1021.003", "Remote Services: Distributed Component Object Model")
REMOTE_SSH = Technique("T1021.004", "Remote Services: SSH")
WINDOWS_REMOTE_MANAGEMENT = Technique("T1021.006", "Remote Services: Windows Remote Management")
WMI = Technique("T1047", "Windows Management Instrumentation")
LATERAL_TOOL_TRANSFER = Technique("T1570", "Lateral Tool Transfer")
SERVICE_EXECUTION = Technique("T1569.002", "System Services: Service Execution")
NON_STANDARD_PORT = Technique("T1571", "Non-Standard Port")
EXPLOIT_PUBLIC_APPLICATION = Technique("T1190", "Exploit Public-Facing Application")
INGRESS_TOOL_TRANSFER = Technique("T1105", "Ingress Tool Transfer")
DOMAIN_GENERATION = Technique("T1568.002", "Dynamic Resolution: Domain Generation Algorithms")
EXPLOIT_REMOTE_SERVICE = Technique("T1210", "Exploitation of Remote Services")
REMOTE_SERVICES = Technique("T1021", "Remote Services")
COMPUTE_HIJACKING = Technique("T1496.001", "Resource Hijacking: Compute Hijacking")
RESOURCE_HIJACKING = Technique("T1496", "Resource Hijacking")
APPLICATION_PROTOCOL = Technique("T1071", "Application Layer Protocol")
NAME_POISONING = Technique("T1557.001", "Adversary-in-the-Middle: LLMNR/NBT-NS Poisoning and SMB Relay")
ARP_POISONING = Technique("T1557.002", "Adversary-in-the-Middle: ARP Cache Poisoning")
DHCP_SPOOFING = Technique("T1557.003", "Adversary-in-the-Middle: DHCP Spoofing")
COMMAND_INTERPRETER = Technique("T1059", "Command and Scripting Interpreter")
