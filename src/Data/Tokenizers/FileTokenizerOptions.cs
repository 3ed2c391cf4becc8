using System.ComponentModel;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>A tokenizer made before, here or by Hugging Face's libraries: a <c>tokenizer.json</c>.</summary>
[Description("A tokenizer made before: a tokenizer.json of this program or of Hugging Face.")]
public sealed record FileTokenizerOptions : TokenizerOptions, IValidated
{
    /// <summary>The file.</summary>
    [Description("Path of the tokenizer.json.")]
    public required string Path { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override IReadOnlyList<string> Files => [System.IO.Path.GetFullPath(Path)];

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (string.IsNullOrWhiteSpace(Path))
            yield return new Problem("path", "path is empty; give the path of a tokenizer.json");
    }

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new ReadyTrainer(Tokenizer.Load(Path));
}
