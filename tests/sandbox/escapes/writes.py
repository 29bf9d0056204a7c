"""Writing outside of the writable directories."""

from __future__ import annotations

from tests.sandbox.escapes import METADATA, ways

WAYS = (
    *ways(
        write_a_new_file_outside="write(OUT + '/new')",
        append_to_a_file_outside="write(OUT + '/precious', mode='a')",
        truncate_a_file_outside="os.truncate(OUT + '/precious', 0)",
        truncate_by_opening_for_reading="os.open(OUT + '/precious', os.O_RDONLY | os.O_TRUNC)",
        remove_a_file_outside="os.unlink(OUT + '/precious')",
        remove_a_folder_outside="os.rmdir(OUT + '/folder')",
        remove_everything_outside="shutil.rmtree(OUT)",
        rename_a_file_outside="os.rename(OUT + '/precious', OUT + '/x')",
        rename_the_folder_outside="os.rename(OUT, HOME + '/moved')",
        move_a_file_out="write(WS + '/m'); os.rename(WS + '/m', OUT + '/m')",
        move_a_file_in="os.rename(OUT + '/precious', WS + '/stolen')",
        exchange_with_a_file_outside=(
            "write(WS + '/ex')\n"
            "syscall(316, 276, -100, (WS + '/ex').encode(), -100, (OUT + '/precious').encode(), 2)"
        ),
        make_a_directory_outside="os.mkdir(OUT + '/d')",
        make_a_link_outside="os.symlink('x', OUT + '/l')",
        make_a_hard_link_outside="write(WS + '/h'); os.link(WS + '/h', OUT + '/h')",
        make_a_fifo_outside="os.mkfifo(OUT + '/f')",
        make_a_socket_outside="socket.socket(socket.AF_UNIX).bind(OUT + '/s')",
        make_an_unnamed_file_outside="os.open(OUT, os.O_TMPFILE | os.O_RDWR, 0o600)",
        copy_a_range_outside=(
            "a = os.open(WS + '/file', os.O_RDONLY); b = os.open(OUT + '/precious', os.O_WRONLY)\n"
            "os.copy_file_range(a, b, 4)"
        ),
        write_through_a_symbolic_link=(
            "os.path.lexists(WS + '/s') or os.symlink(OUT, WS + '/s')\nwrite(WS + '/s/new')"
        ),
        write_through_a_link_to_a_file=(
            "os.path.lexists(WS + '/t') or os.symlink(OUT + '/precious', WS + '/t')\n"
            "write(WS + '/t')"
        ),
        write_through_a_hard_link=(
            "os.link(OUT + '/precious', WS + '/hard'); write(WS + '/hard', mode='a')"
        ),
        write_through_dots="write(WS + '/sub/../../../outside/new')",
        write_through_proc_self_root="write('/proc/self/root' + OUT + '/precious', mode='a')",
        write_through_proc_self_cwd="os.chdir(OUT); write('/proc/self/cwd/new')",
        write_through_proc_self_fd=(
            "d = os.open(OUT, os.O_PATH); write(f'/proc/self/fd/{d}/precious', mode='a')"
        ),
        write_by_reopening_a_descriptor=(
            "d = os.open(OUT + '/precious', os.O_RDONLY); write(f'/dev/fd/{d}', mode='a')"
        ),
        write_through_an_open_directory=(
            "d = os.open(OUT, os.O_RDONLY); os.open('precious', os.O_WRONLY, dir_fd=d)"
        ),
        extract_an_archive_that_leads_out=(
            "import io, tarfile\n"
            "data = io.BytesIO()\n"
            "with tarfile.open(fileobj=data, mode='w') as tar:\n"
            "    tar.addfile(tarfile.TarInfo('../../outside/new'), io.BytesIO())\n"
            "data.seek(0)\n"
            "tar = tarfile.open(fileobj=data)\n"
            "tar.errorlevel = 2\n"
            "tar.extraction_filter = lambda member, path: member\n"
            "tar.extractall(WS)"
        ),
        write_in_a_folder_named_alike="write(WS + '-evil/new')",
        write_in_octavos_home="write(HOME + '/.octavo/config.toml')",
        write_a_shells_startup_file="write(HOME + '/.bashrc', mode='a')",
        write_a_tools_startup_file="write(HOME + '/.ripgreprc')",
        write_gits_global_config="write(HOME + '/.gitconfig', mode='a')",
        make_a_program_for_the_users_path=(
            "os.makedirs(HOME + '/.local/bin', exist_ok=True); write(HOME + '/.local/bin/git')"
        ),
        move_the_workspace="os.rename(WS, WS + '-moved')",
    ),
    *ways(
        canary=False,
        write_through_the_roots_of_the_init="write('/proc/1/root' + OUT + '/precious', mode='a')",
        write_by_mapping_what_was_read=(
            "d = os.open(OUT + '/precious', os.O_RDONLY)\n"
            "mmap.mmap(d, 8, mmap.MAP_SHARED, mmap.PROT_WRITE)"
        ),
        write_in_etc="write('/etc/octavo-escape')",
        write_in_usr_local_bin="write('/usr/local/bin/octavo-escape')",
        write_a_crontab="write('/var/spool/cron/octavo-escape')",
    ),
    *ways(
        gap=METADATA,
        change_a_files_mode_outside="os.chmod(OUT + '/precious', 0o777)",
        change_a_files_owner_outside="os.chown(OUT + '/precious', os.getuid(), os.getgid())",
        change_a_files_times_outside="os.utime(OUT + '/precious', (0, 0))",
        set_an_attribute_outside="os.setxattr(OUT + '/precious', 'user.x', b'1')",
    ),
)
