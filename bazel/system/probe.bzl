"""What the repository rules in this folder share: asking the system where a library is.

Nothing here knows an architecture or a distribution's folders: pkg-config is asked first, and
the compiler's multiarch name gives the folder of a library that ships no .pc file.
"""

def run(rctx, *command):
    """Returns the command's output without the last newline, or None if it is absent or fails."""
    if not rctx.which(command[0]):
        return None
    result = rctx.execute(list(command))
    return result.stdout.strip() if result.return_code == 0 else None

def missing(rctx, what, package):
    fail("@%s needs %s, which is not installed: apt-get install %s (or ./dev setup)" %
         (rctx.name, what, package))

def pkg_config(rctx, module, package, *query):
    """Asks pkg-config about a module, and names the package to install if it has no answer."""
    if not rctx.which("pkg-config"):
        missing(rctx, "pkg-config", "pkg-config")
    answer = run(rctx, "pkg-config", *(list(query) + [module]))
    if answer == None:
        missing(rctx, "pkg-config module '%s'" % module, package)
    return answer

def library_folder(rctx, file, package):
    """Returns the folder that holds a library file such as libleveldb.so."""
    folders = []
    for compiler in ("gcc", "cc"):
        multiarch = run(rctx, compiler, "-print-multiarch")
        if multiarch:
            folders.append("/usr/lib/" + multiarch)
            break
    folders += ["/usr/lib64", "/usr/lib", "/usr/local/lib"]
    for folder in folders:
        if rctx.path(folder + "/" + file).exists:
            return folder
    return missing(rctx, file, package)

def require_file(rctx, path, package):
    if not rctx.path(path).exists:
        missing(rctx, path, package)

def package_version(rctx, package, module = None):
    """Returns the distribution's version of a package, else pkg-config's, else 'unknown'."""
    version = run(rctx, "dpkg-query", "--show", "--showformat=${Version}\\n", package)
    if not version and module:
        version = run(rctx, "pkg-config", "--modversion", module)
    return version.split("\n")[0] if version else "unknown"

def version_target(rctx, what, version):
    """Returns BUILD text for `:version`, on which every target of the repository depends.

    Bazel does not look at headers under /usr. A define that holds the package's version is on
    the command line of everything that uses the package, so an upgrade compiles it again.
    """
    return 'cc_library(name = "version", defines = ["TERN_SYSTEM_%s=%s"])\n' % (what, version)

HEADER = """# Written by @%s's repository rule from the packages of this machine.
load("@rules_cc//cc:defs.bzl", "cc_library")
package(default_visibility = ["//visibility:public"])
"""
