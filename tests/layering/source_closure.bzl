"""The sources that some targets are built of, as data for a test that reads them."""

_SourcesInfo = provider(fields = ["files"])

def _aspect_impl(_target, ctx):
    # Not all kinds of targets have these attributes; external ones are not ours to check.
    files = [
        file
        for attribute in ("srcs", "hdrs", "textual_hdrs")
        for dep in getattr(ctx.rule.attr, attribute, [])
        for file in dep.files.to_list()
        if file.is_source and not file.short_path.startswith("../")
    ]
    return [_SourcesInfo(files = depset(files, transitive = [
        dep[_SourcesInfo].files
        for dep in getattr(ctx.rule.attr, "deps", [])
        if _SourcesInfo in dep
    ]))]

_sources = aspect(implementation = _aspect_impl, attr_aspects = ["actual", "deps"])

def _impl(ctx):
    files = depset(transitive = [
        target[_SourcesInfo].files
        for target in ctx.attr.targets
        if _SourcesInfo in target
    ])
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

source_closure = rule(
    implementation = _impl,
    doc = "The files in this repository that `targets` and all they depend on are compiled from.",
    attrs = {"targets": attr.label_list(aspects = [_sources], mandatory = True)},
)
