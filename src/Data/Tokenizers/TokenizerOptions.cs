using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>How text becomes tokens: the section <c>tokenizer</c> of a recipe. Each kind builds its own tokenizer.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ByteTokenizerOptions), "byte")]
[JsonDerivedType(typeof(CharacterTokenizerOptions), "character")]
[JsonDerivedType(typeof(WordTokenizerOptions), "word")]
[JsonDerivedType(typeof(BpeTokenizerOptions), "bpe")]
[JsonDerivedType(typeof(FileTokenizerOptions), "file")]
[JsonDerivedType(typeof(TiktokenTokenizerOptions), "tiktoken")]
public abstract record TokenizerOptions
{
    /// <summary>The files that the tokenizer is read from: prepared data belongs to their content.</summary>
    [JsonIgnore]
    public virtual IReadOnlyList<string> Files => [];

    /// <summary>Starts learning a tokenizer of this kind.</summary>
    /// <returns>A trainer that is shown all training text once and then builds the tokenizer.</returns>
    public abstract TokenizerTrainer CreateTrainer();
}
