using System.ComponentModel;
using System.Text.Json.Serialization;

namespace Trainer.Text;

/// <summary>A tokenizer made before, here or by Hugging Face's libraries: a <c>tokenizer.json</c>.</summary>
[Description("A tokenizer made before: a tokenizer.json of this program or of Hugging Face.")]
public sealed record FileTokenizerOptions : TokenizerOptions
{
    /// <summary>The file.</summary>
    [Description("Path of the tokenizer.json.")]
    public required string Path { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override IReadOnlyList<string> Files => [System.IO.Path.GetFullPath(Path)];

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new Reader(Tokenizer.Load(Path));

    /// <summary>The file is there already, so nothing is learned.</summary>
    private sealed class Reader(Tokenizer tokenizer) : TokenizerTrainer
    {
        public override void Observe(ReadOnlySpan<char> text) { }

        public override Tokenizer Build() => tokenizer;
    }
}
