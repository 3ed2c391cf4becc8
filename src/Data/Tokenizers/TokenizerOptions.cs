using System.ComponentModel;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Data.Tokenizers;

/// <summary>The section <c>tokenizer</c> of a recipe. Each kind builds its own tokenizer.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ByteTokenizerOptions), "byte")]
[JsonDerivedType(typeof(CharacterTokenizerOptions), "character")]
[JsonDerivedType(typeof(WordTokenizerOptions), "word")]
[JsonDerivedType(typeof(BpeTokenizerOptions), "bpe")]
[JsonDerivedType(typeof(FileTokenizerOptions), "file")]
[JsonDerivedType(typeof(TiktokenTokenizerOptions), "tiktoken")]
public abstract record TokenizerOptions
{
    /// <summary>Files that the tokenizer is read from; prepared data depends on their content.</summary>
    [JsonIgnore]
    public virtual IReadOnlyList<string> Files => [];

    /// <summary>Starts training: the trainer is shown all training text once, then builds the tokenizer.</summary>
    public abstract TokenizerTrainer CreateTrainer();

    /// <summary>The same with further special tokens, where the tokenizer is made here; unchanged where it is read or has none.</summary>
    internal virtual TokenizerOptions WithSpecialTokens(IReadOnlyList<string> tokens) => this;
}

/// <summary>Trains a tokenizer.</summary>
public abstract class TokenizerTrainer
{
    /// <summary>Takes the next piece of the training text; pieces come in order and never split a character.</summary>
    public abstract void Observe(ReadOnlySpan<char> text);

    /// <summary>Builds the tokenizer, deterministically, from what was observed.</summary>
    public abstract Tokenizer Build();
}

/// <summary>An existing <c>tokenizer.json</c>, of this program or of Hugging Face.</summary>
[Description("A tokenizer made before: a tokenizer.json of this program or of Hugging Face.")]
public sealed record FileTokenizerOptions : TokenizerOptions, IValidated
{
    /// <summary>The file's path.</summary>
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
    public override TokenizerTrainer CreateTrainer() => new PretrainedTrainer(Tokenizer.Load(Path));
}

internal sealed class PretrainedTrainer(Tokenizer tokenizer) : TokenizerTrainer
{
    public override void Observe(ReadOnlySpan<char> text) { }

    public override Tokenizer Build() => tokenizer;
}
