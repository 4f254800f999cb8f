"""One seed, one leech, TCP, v1 pieces (SHA-1), no discovery: make FILE TORRENT | seed TORRENT FOLDER | leech TORRENT FOLDER PORT."""
import os
import sys
import time

import libtorrent as lt


def session():
    return lt.session({
        "listen_interfaces": "127.0.0.1:0",
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_incoming_utp": False, "enable_outgoing_utp": False, "allow_multiple_connections_per_ip": True,
    })


def add(ses, folder, flags):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(sys.argv[2])
    params.save_path = folder
    params.flags |= flags
    return ses.add_torrent(params)


role = sys.argv[1]
if role == "make":
    files = lt.file_storage()
    lt.add_files(files, sys.argv[2])
    made = lt.create_torrent(files, 0, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, os.path.dirname(sys.argv[2]))
    with open(sys.argv[3], "wb") as out:
        out.write(lt.bencode(made.generate()))
elif role == "seed":
    ses = session()
    add(ses, sys.argv[3], lt.torrent_flags.seed_mode)
    print("seeding at", ses.listen_port(), flush=True)
    while True:
        time.sleep(3600)
else:
    ses = session()
    torrent = add(ses, sys.argv[3], 0)
    torrent.connect_peer(("127.0.0.1", int(sys.argv[4])))
    while not torrent.status().is_seeding:
        time.sleep(0.002)
