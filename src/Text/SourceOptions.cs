using System.ComponentModel;
using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>One text of <see cref="DataOptions"/>.</summary>
public sealed record SourceOptions : IValidated
{
    /// <summary>The file, relative to the working directory or absolute; absent for the formats that bring their own text.</summary>
    [Description("The file to read, relative to the working directory or absolute. Not for format dotnet-docs, which brings its own text.")]
    public string? Path { get; init; }

    /// <summary>In what form the text comes.</summary>
    [Description("In what form the text comes: text = a plain text file in UTF-8; dotnet-docs = the API documentation of the installed .NET SDK.")]
    public SourceFormat Format { get; init; } = SourceFormat.Text;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Format == SourceFormat.Text && string.IsNullOrWhiteSpace(Path))
            yield return new Problem("path", "is missing; name a text file, or set format to \"dotnet-docs\" for the documentation of the installed .NET SDK");
        if (Format == SourceFormat.DotnetDocs && Path is not null)
            yield return new Problem("path", $"is \"{Path}\", but format dotnet-docs finds its own files; remove path, or set format to \"text\"");
    }
}
