# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that describe a domain."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment edge.cloud.domain."""

    DOCUMENTATION = r"""
options:
  uuid:
    description:
      - The UUID of a new domain. Without it, one is derived from O(name). It never changes.
    type: str
  title:
    description:
      - A short text for people, one line of at most 255 characters. The empty text removes it. A running domain has it at once.
    type: str
  description:
    description:
      - A text for people, at most 16384 characters. The empty text removes it. A running domain has it at once.
    type: str
  os:
    description:
      - What the guest's operating system expects of the hardware. V(windows) has the clock in local time and, with KVM on x86_64,
        Hyper-V's enlightenments (C(relaxed), C(vapic), C(spinlocks), C(vpindex), C(runtime), C(synic), C(stimer), C(frequencies)
        and its clock). V(linux), which a new domain has, has the clock in UTC. It takes effect at the next start.
      - Windows needs drivers for virtio; give a disk O(disks[].bus=sata) and an interface O(nics[].model=e1000e) where it has none.
    type: str
    choices: [linux, windows]
  memory:
    description:
      - The guest's memory, with a unit, such as V(512MiB) or V(4GiB). A number without a unit is bytes, rounded up to whole
        MiB. At least 16 MiB.
      - A new domain has 1 GiB without it. A running guest follows by its balloon, up to O(max_memory).
    type: str
  max_memory:
    description:
      - What O(memory) can become while the guest runs, with a unit. The guest is given it at its start, and its balloon keeps the
        difference. Without it, a new domain has no more than O(memory), and it rises where O(memory) does.
      - It takes effect at the next start.
    type: str
  vcpus:
    description:
      - The number of virtual CPUs. A new domain has 1 without it. More are given to a running guest up to O(max_vcpus); fewer wait
        for its next start.
    type: int
  max_vcpus:
    description:
      - What O(vcpus) can become while the guest runs. Without it, a new domain has no more than O(vcpus), and it rises where
        O(vcpus) does. It takes effect at the next start.
    type: int
  cpu:
    description:
      - The CPU that the guest sees. A new domain has mode V(host-model) with KVM and V(maximum) without it.
    type: dict
    suboptions:
      mode:
        description:
          - V(host-model) is close to the host's CPU and can migrate, V(host-passthrough) is the host's CPU, V(maximum) is all
            that the emulator has, V(custom) is the named O(cpu.model).
        type: str
        required: true
        choices: [host-model, host-passthrough, maximum, custom]
      model:
        description:
          - The name of a CPU model of QEMU, for the mode V(custom) only.
        type: str
      sockets:
        description:
          - The number of CPU sockets that the guest sees. Without any of the three numbers each virtual CPU is a socket; where
            one is given, the others are 1, and their product must be O(max_vcpus).
        type: int
      cores:
        description:
          - The number of cores of a socket.
        type: int
      threads:
        description:
          - The number of threads of a core.
        type: int
      features:
        description:
          - Features of the CPU that the guest must have, such as V(vmx), by libvirt's names. One with a dash before, such as
            V(-vmx), is one that it must not have. What is given is the whole of them. They take effect at the next start.
        type: list
        elements: str
        default: []
  numa:
    description:
      - The NUMA nodes of the guest. Together they must have all of O(max_memory) and each CPU up to O(max_vcpus) once.
        An empty list removes them.
    type: list
    elements: dict
    suboptions:
      cpus:
        description:
          - The virtual CPUs of the node, from 0, such as V(0-3).
        type: str
        required: true
      memory:
        description:
          - The memory of the node, with a unit.
        type: str
        required: true
  hugepages:
    description:
      - The size of the huge pages of the host that back the guest's memory, such as V(2MiB) or V(1GiB). The host must have
        reserved enough of them, and a VM that would not get its own is refused. The empty text goes back to ordinary pages.
    type: str
  vcpu_pinning:
    description:
      - The CPUs of the host that each virtual CPU may use, in the order of the virtual CPUs, such as V(2-3). An empty text leaves
        one free. An empty list frees all of them at the next start.
    type: list
    elements: str
  emulator_pinning:
    description:
      - The CPUs of the host that QEMU's own threads may use. The empty text frees them at the next start.
    type: str
  iothreads:
    description:
      - The number of threads that serve disks named in O(disks[].iothread). A new domain has none; QEMU's main thread serves all.
    type: int
  virt_type:
    description:
      - V(kvm) runs on the processor, V(qemu) emulates it. A new domain has V(kvm) where libvirt offers it, else V(qemu).
    type: str
    choices: [kvm, qemu]
  arch:
    description:
      - The guest's architecture, such as V(x86_64). A new domain has the host's without it.
    type: str
  machine:
    description:
      - The machine type of QEMU. A new domain of x86_64 has V(q35) without it, one of aarch64 V(virt).
      - An alias such as V(q35) becomes the newest version when the domain is created, and that version stays.
    type: str
  firmware:
    description:
      - What boots the guest. V(uefi) needs the package C(ovmf) (or that of the architecture) on the host, and keeps its variables
        in C(nvram.fd) in the folder of the VM. A new domain has V(bios) without it, and V(uefi) on
        aarch64 and riscv64, whose machines have no BIOS, unless O(kernel) is given. It never changes.
    type: str
    choices: [bios, uefi]
  secure_boot:
    description:
      - Whether the firmware starts only what is signed with Microsoft's keys. It needs O(firmware=uefi) and machine V(q35).
      - It does not hold for a O(kernel) given from the host. Debian's firmware reports on the console that it is not signed, and
        starts it nevertheless.
    type: bool
  tpm:
    description:
      - Whether the guest has a TPM 2.0, emulated by C(swtpm) of the host. A new domain has V(false) without it.
    type: bool
  kernel:
    description:
      - The path of a kernel on the host to boot directly, without boot loader. The empty text removes it, with O(initrd) and
        O(cmdline).
    type: path
  initrd:
    description:
      - The path of an initial RAM file system for O(kernel). The empty text removes it.
    type: path
  cmdline:
    description:
      - The command line of O(kernel). The empty text removes it.
    type: str
  disks:
    description:
      - All disks of the domain, except those that others made and no task has named. The first one is booted; in a domain that
        others made, what was booted before.
      - A disk that is left out is detached, from a running guest too unless it was booted from it; its file stays.
        A disk is never recreated and never shrinks.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The name of the disk in this domain. Lower-case letters, digits and dashes, at most 20.
        type: str
        required: true
      image:
        description:
          - The image that the disk begins as; name and version, such as V(debian:13.1), a name alone, such as V(debian), for its
            newest version, or the digest, such as C(sha256:...), which no host can choose another image for.
          - An image that is not in the host cache is pulled first, by the rule of the cluster (C(/etc/edge/cluster.json)); with
            O(image_servers) the disk is read from there until the image has arrived. On a host without a cluster
            M(edge.cloud.replica_image) brings it. The disk is an overlay on it and copies nothing.
          - What a name means is decided when the disk is made. If it means a newer image later, a disk that is there stays on its
            own, with a warning, and nothing changes. Another name or version for a disk that is there is refused.
        type: str
      size:
        description:
          - The size of the disk with a unit, such as V(20GiB). A larger size than the disk has grows it, while it runs too.
          - Without it, a new disk has the size of its O(disks[].image). Without an image, a new disk is empty.
        type: str
      path:
        description:
          - The path of an existing file or block device to use as it is. It takes neither O(disks[].image) nor O(disks[].size).
          - Of a CD drive it is the ISO file that is in it, and the empty text takes it out.
          - One file, by whatever link or mount, is one disk of one VM, unless all that have it only read it. No disk stands on a
            file that another disk writes. What QEMU would not open is refused, such as a file that cannot be written, an encrypted
            qcow2, and a chain with a gap.
        type: path
      device:
        description:
          - V(cdrom) is a read-only CD drive, on SATA unless O(disks[].bus) is given. It never changes.
        type: str
        choices: [disk, cdrom]
      source:
        description:
          - Where a disk is that is not a file of this host. It takes none of O(disks[].image), O(disks[].size) and O(disks[].path).
        type: dict
        suboptions:
          protocol:
            description:
              - V(rbd) is a Ceph block device, V(nbd) a network block device.
            type: str
            required: true
            choices: [rbd, nbd]
          name:
            description:
              - The pool and image of V(rbd), such as V(vms/web), or the export of V(nbd).
            type: str
          hosts:
            description:
              - The servers as HOST:PORT, an IPv6 address in brackets; Ceph's monitors or the one NBD server. Without
                them Ceph's own configuration is used.
            type: list
            elements: str
          user:
            description:
              - The Ceph user.
            type: str
          secret:
            description:
              - The UUID of libvirt's secret that has the key of O(disks[].source.user). It is a name, not the key.
            type: str
          tls:
            description:
              - Whether the connection of V(nbd) is encrypted, with the certificates of QEMU's configuration on the host.
            type: bool
            default: false
      iothread:
        description:
          - The number, from 1 to O(iothreads), of the thread that serves the disk. It needs bus V(virtio).
        type: int
      queues:
        description:
          - The number of queues of a V(virtio) disk. Without it, QEMU makes one for each virtual CPU.
        type: int
      limits:
        description:
          - The most that the guest may read and write each second. What is left out of the dictionary is not limited.
        type: dict
        suboptions:
          total_bytes:
            description:
              - Bytes read and written together, with a unit. It excludes the two others.
            type: str
          read_bytes:
            description:
              - Bytes read, with a unit.
            type: str
          write_bytes:
            description:
              - Bytes written, with a unit.
            type: str
          total_iops:
            description:
              - Requests of both kinds together. It excludes the two others.
            type: int
          read_iops:
            description:
              - Requests that read.
            type: int
          write_iops:
            description:
              - Requests that write.
            type: int
      format:
        description:
          - The format of the file of O(disks[].path). What is given here is believed.
          - Of a new empty disk, one of O(disks[].size) without O(disks[].image), it is the format to make. V(qcow2), the default,
            is C(DISK.qcow2) in the folder of the domain; V(raw) is C(DISK.raw), which takes no tables of its own. A snapshot of a
            raw disk is a qcow2 overlay on it. A disk of an image is always a qcow2 overlay.
          - A disk keeps its format. Where only the file of the other format is there, kept from an earlier domain, or both are, the
            disk is refused.
          - Without it, a file of O(disks[].path) that a domain of this host uses has the format that it has there, and one that
            edge.cloud made has the format that is on record with it. Only then do its first bytes decide, and a file that
            refers to other files, such as a qcow2 with a backing file, is refused, since the guest of a raw disk can write that
            there to have QEMU open any file of the host.
        type: str
        choices: [qcow2, raw]
      preallocation:
        description:
          - Whether a new empty disk, one of O(disks[].size) without O(disks[].image), takes all its space when it is made, so that
            no write of the guest can find the file system full. V(off) takes it as the guest writes, V(falloc) takes all of it
            unwritten, which is done at once on most file systems, V(full) also writes zeros to it.
          - The space is reserved before anything is written; where there is too little, the disk is not made.
          - It counts only when the file is made. A file that is there stays as it is, what a disk grows by is not preallocated,
            and neither are its snapshots or a copy that a migration makes of it.
          - A disk of an image is an overlay that takes space as it is written; only V(off) goes with it.
        type: str
        choices: ["off", falloc, full]
      target:
        description:
          - The device name that orders the disks, such as V(vda). Without it, the first that is free on its bus.
        type: str
      bus:
        description:
          - The bus of the disk. A new disk has V(virtio) without it.
        type: str
        choices: [virtio, scsi, sata]
      cache:
        description:
          - How the host caches. A new disk has V(none) where the file system takes direct I/O, else V(writeback).
        type: str
        choices: [none, writeback, writethrough, directsync, unsafe]
      io:
        description:
          - How QEMU does I/O. A new disk has V(native) with cache V(none) or V(directsync), else V(threads).
        type: str
        choices: [native, threads, io_uring]
      discard:
        description:
          - Whether blocks that the guest discards are given back to the host. A new disk has V(unmap) without it, one with
            O(disks[].preallocation) V(ignore), since a guest discards all of a disk when it makes a file system.
        type: str
        choices: [unmap, ignore]
      serial:
        description:
          - The serial number that the guest finds it by, in C(/dev/disk/by-id). The name of the disk without it.
        type: str
      read_only:
        description:
          - Whether the guest may not write. A new disk has V(false) without it.
        type: bool
  image_servers:
    description:
      - NBD servers of images which are not in the host cache yet. A new disk of such an image is read from the first that has it,
        so that the guest need not wait for the image.
      - V(nbds://localhost) is the server of the hypervisor itself (see the role P(edge.cloud.hypervisor#role)), which reads from
        the replicas and verifies each piece. What another host sends, such as V(nbds://replica1.example:10809), is believed.
    type: list
    elements: str
  nics:
    description:
      - All network interfaces of the domain, except those that others made and no task has named. Each new one has one of network,
        bridge, hostdev and virtual_network; one that is there keeps its own without them.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The name of the interface in this domain. C(nic) and its place in the list, from 0, without it.
        type: str
      network:
        description:
          - The name of an active libvirt network, such as one of M(edge.cloud.nat_network).
        type: str
      bridge:
        description:
          - The name of a bridge of the host, such as one of M(edge.cloud.bridge).
        type: str
      virtual_network:
        description:
          - The name of a network that M(edge.cloud.virtual_network) or M(edge.cloud.virtual_networks) made on this host. The
            interface is on its bridge, has its MTU unless O(nics[].mtu) is given, and does not reach other VMs of the network on
            this host where its definition says C(peers_isolated). Its device on the host has a name that begins with C(evt-) and is
            the same on every host.
          - A running guest changes to another network at once. The MTU, and the name of the device where it was or will be in no
            virtual network, follow at its next start.
          - If the network was given another MTU, the next run that names the interface has it in C(pending_restart).
        type: str
      public_address:
        description:
          - All public addresses that the host passes on to the interface, as M(edge.cloud.public_address) does. Without it they
            stay as they are, and an empty list takes them away.
          - Only an interface of a O(nics[].virtual_network) can have one. The guest is configured apart, by O(cloud_init) for
            instance.
          - The host has them as long as the domain is defined there. A domain that has one does not migrate. Take it away before,
            and give it again on the destination, which then says at once by gratuitous ARP or neighbour advertisement that it has
            it.
          - Addresses that M(edge.cloud.public_address) gave are left alone.
        type: list
        elements: dict
        suboptions:
          address:
            description:
              - The address, IPv4 or IPv6.
            type: str
            required: true
          mode:
            description:
              - V(routed), which it is if left out, routes the address to the guest, V(nat) translates it to
                O(nics[].public_address[].private_address).
            type: str
            choices: [routed, nat]
          private_address:
            description:
              - The address that the guest has in its network, with V(nat) only.
            type: str
          uplink:
            description:
              - The link by which the host reaches others. Left out, it is that of the default route.
            type: str
      mac:
        description:
          - The MAC address. Without it, one is derived from the names of the domain and of the interface.
        type: str
      addresses:
        description:
          - The addresses that the interface has a lease of, such as C(lease.addresses | map(attribute='cidr')) of
            M(edge.cloud.address), with or without their prefix length. They are kept with the VM, on whichever host it is, so that
            M(edge.cloud.domain_info) and the inventory P(edge.cloud.libvirt#inventory) know them of a stopped VM, too. They do not
            configure the guest or DHCP.
          - Without it they stay, unless the interface is given another network. An empty list removes them. A clone has none.
        type: list
        elements: str
      model:
        description:
          - The device that the guest sees. A new interface has V(virtio) without it.
        type: str
        choices: [virtio, e1000e]
      mtu:
        description:
          - The MTU in bytes that the guest's driver gets, 68 to 65521. More than its O(nics[].virtual_network) carries is refused.
        type: int
      hostdev:
        description:
          - The PCI address of a network function of the host (SR-IOV) that becomes the guest's, such as V(0000:03:10.1).
        type: str
      queues:
        description:
          - The number of queues of a V(virtio) interface. Without it, one.
        type: int
      link:
        description:
          - Whether the cable is plugged in. A new interface has V(true) without it.
        type: bool
      inbound:
        description:
          - The most that the guest receives each second, in bytes with a unit, such as V(10MiB). V(0) removes the limit.
        type: str
      outbound:
        description:
          - The most that the guest sends each second, in bytes with a unit. V(0) removes the limit.
        type: str
      vlan:
        description:
          - The 802.1Q VLAN, 1 to 4094, that the interface is in; its frames have the tag outside of the guest only. V(0) removes
            it.
          - It needs a O(nics[].hostdev), a network on Open vSwitch, or libvirt 11.0 and a bridge that filters VLANs. A bridge of
            M(edge.cloud.bridge) on a VLAN needs none of that, nor does a virtual network of type V(vlan), with which it does not go
            together. It takes effect at the next start.
        type: int
      vlans:
        description:
          - The VLANs that the guest may tag frames with itself (a trunk), such as V(10) or V(20-29), beside frames without a tag.
            The list is exact; V([]) removes them. Frames with another tag are dropped in both directions.
          - It needs a O(nics[].virtual_network) with C(vlan_filtering=true), whose C(vlans) say what passes between hosts, and
            libvirt 11.0, such as that of Debian 13. It takes effect at the next start.
        type: list
        elements: str
  boot_order:
    description:
      - The names of the disks and interfaces to boot from, in this order. Without it, an earlier order stays, and a new domain
        boots its first disk. It takes effect at the next start.
      - A device that others made and that only this option has named stays when O(disks) or O(nics) leaves it out.
    type: list
    elements: str
  filesystems:
    description:
      - All folders of the host that the guest can mount by virtiofs, as in C(mount -t virtiofs TAG /mnt).
    type: list
    elements: dict
    suboptions:
      tag:
        description:
          - The name that the guest mounts it by. Lower-case letters, digits and dashes, at most 20.
        type: str
        required: true
      path:
        description:
          - The folder on the host. The guest's root can do in it what the host's root can.
        type: path
        required: true
  pci_devices:
    description:
      - The PCI addresses of all devices of the host that become the guest's, such as V(0000:65:00.0).
    type: list
    elements: str
  cloud_init:
    description:
      - What cloud-init does in the guest, as a NoCloud seed on a read-only disk labelled C(CIDATA).
      - The instance-id is the domain's UUID, so that a changed seed does not make cloud-init run a second time.
      - Secrets belong in here hashed; the seed is readable by root and the guest only. No result or log shows what is in it.
    type: dict
    suboptions:
      hostname:
        description:
          - The guest's host name. O(name) without it.
        type: str
      ssh_authorized_keys:
        description:
          - Public SSH keys that may log in as the image's default user, each as the contents of its file; an item may have several,
            one a line. What is not a public key is refused, here and under the same name in O(cloud_init.user_data).
        type: list
        elements: str
      user_data:
        description:
          - User data, as a dictionary (cloud-config) or as a text that begins with its header, such as C(#cloud-config) or C(#!).
          - A dictionary reaches the guest with every character as it is. A text is checked as cloud-init reads it; what is not
            YAML, has a header that cloud-init does not know, or is a script with the line ends of Windows, is refused.
          - Where C(cloud-init) is installed on the host, new cloud-config is validated by its schema, too. A key that it does not
            know is accepted, since the guest's cloud-init can be newer.
          - Quote what YAML takes for a number or for yes and no, such as passwords, C(permissions) (V("0644")) and MAC addresses;
            where cloud-init wants a text there, anything else is refused.
        type: raw
      vendor_data:
        description:
          - Vendor data, in the same forms as O(cloud_init.user_data).
        type: raw
      network_config:
        description:
          - Network configuration version 2 (or 1), as a dictionary; a file of it is read with C(lookup('ansible.builtin.file', …) |
            from_yaml). Without it, cloud-init asks DHCP on the first interface.
          - Its addresses are checked, since a guest that does not take one boots without network; those of a VM need the length of
            their prefix, such as C(192.0.2.10/24).
        type: dict
      meta_data:
        description:
          - Further meta data, over our own.
        type: dict
  context:
    description:
      - Variables for guests that are contextualized as in OpenNebula, as an ISO file labelled C(CONTEXT) with C(context.sh), on a
        read-only disk. Names are upper-case, such as C(SSH_PUBLIC_KEY) or C(ETH0_IP), and none that a shell uses itself, such as
        C(PATH).
      - V(true) is written as C(YES), V(false) as C(NO), a list as one line for each of its items. V(null) leaves a variable out. A
        dictionary is refused. Quote addresses and versions, which YAML can take for numbers.
    type: dict
  from_image_defaults:
    description:
      - Whether the domain begins with what the image of its first disk that has one wants of its VM, as
        RV(edge.cloud.datastore_image#module:image.template) shows it.
        A new domain has the image's memory and vCPUs where O(memory) and O(vcpus) are not given; without a number of vCPUs it has
        the image's share of CPUs, rounded up.
      - The image's context is under O(context), where V(null) leaves a variable out. C($NAME) is O(name), and the user's SSH key
        is O(cloud_init.ssh_authorized_keys). In a domain that exists it is made again where O(context) or O(user_inputs) is given.
      - An image without defaults changes nothing. The image must be in the host cache, or one that the cluster brings there.
    type: bool
  user_inputs:
    description:
      - The answers to what the image asks (C(inputs) of its template), by name. They need O(from_image_defaults=true).
      - An answer must fit the type of its input; V(true) and V(false) do for one of YES and NO, and a list for one of several
        choices. What is not given has the input's default. A mandatory input without either is refused, with its name and text,
        unless O(context) has the variable of its name.
      - C(MEMORY) (in MiB) and C(VCPU), where the image asks for them, are the size of a new domain.
      - No answer is in a result, an error or a log; those that the image's context uses are on the context disk.
    type: dict
  console_log:
    description:
      - Whether the serial console is written to C(console.log) in the folder of the VM. A new domain has V(true) without it.
    type: bool
  virtio_console:
    description:
      - Whether the guest has a paravirtual console (C(hvc0)) beside the serial port. A new domain has V(false) without it.
    type: bool
  vnc:
    description:
      - Whether the guest has a display by VNC. A new domain has V(false) without it.
    type: bool
  vnc_listen:
    description:
      - The IP address of the host that the VNC display listens on, V(0.0.0.0) or V(::) for all. A new display has V(127.0.0.1),
        which is reached from the host only, or through SSH.
      - Another address than of loopback is refused where the display has no authentication. It does with O(vnc_password), or by
        settings of the host in C(/etc/libvirt/qemu.conf), C(vnc_tls) with C(vnc_tls_x509_verify), C(vnc_sasl) or C(vnc_password).
        C(vnc_tls) alone encrypts and lets everyone in.
      - It takes effect at the next start.
    type: str
  vnc_password:
    description:
      - The password of the VNC display, at most 8 printable ASCII characters, which is all that the VNC protocol takes. The empty
        text removes it. It is checked by DES and not encrypted by itself; on a network that others use, have C(vnc_tls), too.
      - A running display that was started with a password takes another at once, and viewers that are connected stay. A first
        password, and the removal of one, wait for the next start.
      - Nothing shows it but libvirt to who may change the domain. Give it from a vault, and quoted, since YAML makes a number of
        digits.
    type: raw
  spice:
    description:
      - Whether the guest has a display by SPICE. V(loopback) listens on the host's loopback address. V(tls) listens on all
        addresses, takes encrypted channels only, and asks for the password of the host, C(hypervisor_spice_password) of the role
        P(edge.cloud.hypervisor#role); a host without one is refused. A new domain has V(none) without it.
    type: str
    choices: [none, loopback, tls]
  video:
    description:
      - The display adapter that the guest sees, with O(vnc) or O(spice) only. A new display has V(vga) on x86_64 and V(virtio) on
        aarch64, whose machines have no VGA. It takes effect at the next start.
    type: str
    choices: [vga, virtio, bochs, qxl, ramfb]
  usb:
    description:
      - Whether the guest has a USB 3 controller. A new domain has one where O(tablet) or O(keyboard) needs it. It takes effect at
        the next start.
    type: bool
  tablet:
    description:
      - Whether the guest has a USB tablet, an absolute pointer that keeps to the one of a display's viewer. A new display brings
        one on architectures that have no other pointer, such as aarch64. It takes effect at the next start.
    type: bool
  keyboard:
    description:
      - Whether the guest has a USB keyboard. A new display brings one on architectures that have no other, such as aarch64. It
        takes effect at the next start.
    type: bool
  watchdog:
    description:
      - What happens to a guest that has opened its watchdog device (i6300esb) and stops feeding it. A new domain has V(none).
    type: str
    choices: [none, reset, poweroff, pause]
  guest_agent:
    description:
      - Whether the guest has a channel for the QEMU guest agent. A new domain has V(true) without it.
    type: bool
  rng:
    description:
      - Whether the guest has a random number generator fed by the host. A new domain has V(true) without it.
    type: bool
  autostart:
    description:
      - Whether the host starts the domain when it boots. A new domain has V(false) without it.
    type: bool
  recovery:
    description:
      - Whether and how the host makes recovery points of the VM, copies of its disks at one instant that other hosts keep
        (C(docs/recovery.md)).
      - What is given is the whole of it; an empty dictionary is all defaults. A new domain has none without it.
      - Disks of a new VM note what is written to them from its first start on, so that its first point is as small as the others.
        Where they cannot, as while its image is still on its way, the VM starts all the same, with a warning.
      - A VM of which no whole point can be made, such as one with a raw disk or a disk given by O(disks[].path), is refused.
    type: dict
    suboptions:
      state:
        description:
          - V(absent) ends the policy, and takes no other part. The points that were made stay where they are.
        type: str
        choices: [present, absent]
        default: present
      interval:
        description:
          - How often a point is made, in seconds, 60 to 2592000 (30 days). Without it, V(900).
          - What the guest wrote since its newest point is lost with its host.
        type: int
      keep:
        description:
          - How many points, at least, stay on other hosts, 2 to 1000. Without it, V(2).
        type: int
      quiesce:
        description:
          - Whether the guest agent freezes the guest's file systems for the instant. V(try) does so if the agent answers,
            V(required) makes no point otherwise. Without it, V(try).
        type: str
        choices: [never, try, required]
      replicas:
        description:
          - How many other hosts must hold a point before this host removes it, 1 to 100. Without it, V(1).
          - More than the cluster has replica hosts besides this host is refused.
        type: int
      budget:
        description:
          - How much points that not enough hosts hold may take on this host, as an integer with a unit, such as V(20GiB). No
            further point is made when they have it. Without it they may fill the disk up to a reserve.
        type: str
      sign:
        description:
          - The text on the guest's serial console by which a restore drill (C(edge-host point drill)) knows that the guest is up,
            such as V(login:). Without it the guest agent has to answer.
        type: str
  xml_override:
    description:
      - A libvirt C(<domain>) element that is merged over the domain's XML at the end, the last resort where no option exists.
      - Its attributes and texts win, also over what edge.cloud sets. A disk is meant by its alias or target, an interface by its
        MAC address, a controller by type and index (0 without one), a display by its type, and a device of which a domain has one,
        such as C(memballoon) or C(video), by its kind. A device that is not there, or with a new alias, is added. Timers and
        features are meant by their name, other elements by their tag.
      - What it replaces is kept in the domain's metadata, and comes back when the override is changed or removed. The empty text
        removes it.
      - It takes effect at the next start, and is not checked by edge.cloud.
    type: str
"""
