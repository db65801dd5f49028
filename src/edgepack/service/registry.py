"""The table of operations of a server."""

from edgepack.service.compilation_jobs import CompilationJobs
from edgepack.service.context import Context
from edgepack.service.edge_packaging_jobs import EdgePackagingJobs
from edgepack.service.operations import Handler, Operations
from edgepack.service.security_tokens import SecurityTokens
from edgepack.service.tags import Tags


def build_operations(context: Context) -> Operations:
    """Every operation that is served, with what carries it out.

    The Describe operations read one row by its key: on SQLite in less time than a thread takes to be woken, so they run
    on the event loop.
    """
    inline = context.database.is_sqlite
    packaging, compilation = EdgePackagingJobs(context), CompilationJobs(context)
    tags, tokens = Tags(context), SecurityTokens(context)
    return {
        "CreateEdgePackagingJob": Handler(packaging.create),
        "DescribeEdgePackagingJob": Handler(packaging.describe, inline=inline),
        "ListEdgePackagingJobs": Handler(packaging.list),
        "StopEdgePackagingJob": Handler(packaging.stop),
        "CreateCompilationJob": Handler(compilation.create),
        "DescribeCompilationJob": Handler(compilation.describe, inline=inline),
        "ListCompilationJobs": Handler(compilation.list),
        "StopCompilationJob": Handler(compilation.stop),
        "DeleteCompilationJob": Handler(compilation.delete),
        "AddTags": Handler(tags.add),
        "ListTags": Handler(tags.list),
        "DeleteTags": Handler(tags.delete),
        "GetCallerIdentity": Handler(tokens.get_caller_identity),
        "AssumeRole": Handler(tokens.assume_role),
    }
