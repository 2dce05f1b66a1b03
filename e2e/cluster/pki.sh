# pki.sh : the certificates and kubeconfigs of the local and the sim cluster, made
# once. To be sourced by local.sh and sim.sh. What stands is kept; what was half made is made anew.
# shellcheck shell=bash

PKI=$STATE/pki

key_ec() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

cert() { # NAME SUBJECT [EXTENSION] : the .crt is written last, thus it stands for the pair
  [ ! -s "$PKI/$1.crt" ] || return 0
  key_ec "$PKI/$1.key"
  openssl req -new -key "$PKI/$1.key" -subj "$2" -out "$PKI/$1.csr"
  openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 3650 \
    -extfile <(printf 'keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n%s\n' "${3:-}") \
    -out "$PKI/$1.new" 2>/dev/null
  rm "$PKI/$1.csr"
  mv "$PKI/$1.new" "$PKI/$1.crt"
}

kubeconfig() { # USER
  local f=$STATE/cfg/$1.kubeconfig
  (umask 077 && cat >"$f.new") <<YAML
apiVersion: v1
kind: Config
clusters: [{name: kipu, cluster: {server: "https://$API_HOST:$API_PORT", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$PKI/$1.crt"), client-key-data: $(base64 -w0 "$PKI/$1.key")}}]
contexts: [{name: kipu, context: {cluster: kipu, user: $1}}]
current-context: kipu
YAML
  mv "$f.new" "$f"
}

make_pki() { # SUBJECT [EXTENSION] : of who speaks for the nodes
  local name
  if [ ! -s "$PKI/ca.crt" ]; then
    key_ec "$PKI/ca.key"
    openssl req -x509 -new -key "$PKI/ca.key" -subj /CN=kipu-cluster-ca -days 3650 -out "$PKI/ca.new"
    mv "$PKI/ca.new" "$PKI/ca.crt"
  fi
  if [ ! -s "$PKI/sa.pub" ]; then
    openssl genrsa -out "$PKI/sa.key" 2048 2>/dev/null
    openssl rsa -in "$PKI/sa.key" -pubout -out "$PKI/sa.new" 2>/dev/null
    mv "$PKI/sa.new" "$PKI/sa.pub"
  fi
  name=DNS:kubernetes
  cert apiserver /CN=kube-apiserver "subjectAltName=DNS:localhost,$name,$name.default,$name.default.svc,$name.default.svc.cluster.local,IP:127.0.0.1,IP:$API_HOST,IP:$SERVICE_IP"
  cert admin /O=system:masters/CN=admin
  cert kcm /CN=system:kube-controller-manager
  cert scheduler /CN=system:kube-scheduler
  cert kubelet "$1" "${2:-}"
  cert front-proxy /CN=front-proxy
  for name in admin kcm scheduler kubelet; do
    [ -s "$STATE/cfg/$name.kubeconfig" ] || kubeconfig "$name"
  done
}
