package main

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// dns answers the one name which a pod of this cluster needs: clients written
// for any cluster (kopf among them) reach the API server by its service name.
// Every other name does not exist, and is said not to at once: a pod here has
// no way out of the machine, so asking further would only make it wait.
func dns(args []string) int {
	fs := flag.NewFlagSet("dns", flag.ExitOnError)
	listen := fs.String("listen", "", "address:port of UDP to answer on")
	name := fs.String("name", "kubernetes.default.svc.cluster.local", "the name that exists")
	addr := fs.String("address", "10.96.0.1", "its IPv4 address")
	fs.Parse(args)
	ip, err := netip.ParseAddr(*addr)
	if err != nil || !ip.Is4() {
		fmt.Fprintln(os.Stderr, "dns: -address must be an IPv4 address, not", *addr)
		return 2
	}
	conn, err := net.ListenPacket("udp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "dns:", err)
		return 1
	}
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			fmt.Fprintln(os.Stderr, "dns:", err)
			return 1
		}
		if reply := answer(buf[:n], *name+".", ip.As4()); reply != nil {
			// a client which is gone by now is no matter
			_, _ = conn.WriteTo(reply, from)
		}
	}
}

// answer returns the packed reply to one query, or nil where it is no query.
func answer(query []byte, name string, ip [4]byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || m.Response || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.RecursionAvailable = true, true, true
	m.Answers, m.Authorities, m.Additionals = nil, nil, nil
	switch {
	case !strings.EqualFold(q.Name.String(), name):
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 30},
			Body:   &dnsmessage.AResource{A: ip},
		}}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}
