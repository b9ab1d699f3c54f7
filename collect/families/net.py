"""Programs that send over the network, to the sink in the other namespace; and the cryptography before it."""
from command import CPU, NET, FAULT, variant, Command
from inputs import MIB
from network import HTTP_PORT, HUB_ADDRESS, RAW_PORT

_URL = f"http://{HUB_ADDRESS}:{HTTP_PORT}/"


@variant("put", NET)
def curl_put(m):
    mib = m.amount(6, 60)
    return Command(["curl", "-s", "-f", "-T", m.noise(mib), _URL], sent_bytes=mib * MIB)


@variant("many", NET)
def curl_many(m):
    mib, count = m.amount(1, 4), m.amount(4, 16)
    path = m.noise(mib)
    return Command(["curl", "-s", "-f", *[word for _ in range(count) for word in ("-T", path, _URL)]], sent_bytes=mib * count * MIB)


@variant("refused", FAULT, NET)
def curl_refused(m):
    return Command(["curl", "-s", "-f", "--retry", m.amount(1, 3), "--retry-connrefused", f"http://{HUB_ADDRESS}:{HTTP_PORT + 1}/"])


@variant("send", NET)
def nc_send(m):
    mib = m.amount(6, 60)
    return Command(["nc", "-N", HUB_ADDRESS, RAW_PORT], stdin=m.noise(mib), sent_bytes=mib * MIB)


@variant("post", NET)
def wget_post(m):
    mib = m.amount(6, 60)
    return Command(["wget", "-q", "-O", "/dev/null", "--tries=1", f"--post-file={m.noise(mib)}", _URL], sent_bytes=mib * MIB)


@variant("pipe", NET)
def socat_pipe(m):
    mib = m.amount(6, 60)
    return Command(["socat", "-u", f"-b{m.one_of(8192, 65536)}", f"FILE:{m.noise(mib)}", f"TCP:{HUB_ADDRESS}:{RAW_PORT}"],
                   sent_bytes=mib * MIB)


@variant("encrypt", CPU)
def openssl_encrypt(m):
    return Command(["openssl", "enc", f"-{m.one_of('aes-256-cbc', 'camellia-256-cbc', 'des-ede3-cbc')}", "-pbkdf2",
                    "-iter", m.amount(100000, 6000000), "-pass", "pass:forestall", "-in", m.noise(m.amount(10, 90)), "-out", "/dev/null"])


@variant("digest", CPU)
def openssl_digest(m):
    return Command(["openssl", "dgst", f"-{m.one_of('sha3-512', 'sha1', 'md5', 'ripemd160')}",
                    *[m.noise(m.amount(20, 70))] * m.amount(4, 12)])


CURL = (curl_put, curl_many, curl_refused)
NC = (nc_send,)
WGET = (wget_post,)
SOCAT = (socat_pipe,)
OPENSSL = (openssl_encrypt, openssl_digest)
