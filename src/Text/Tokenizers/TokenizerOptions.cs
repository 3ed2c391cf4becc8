using System.Text.Json.Serialization;

namespace Trainer.Text;

/// <summary>How text becomes tokens: the section <c>tokenizer</c> of a recipe. Each kind builds its own tokenizer.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ByteTokenizerOptions), "byte")]
[JsonDerivedType(typeof(CharacterTokenizerOptions), "character")]
public abstract record TokenizerOptions
{
    /// <summary>Starts learning a tokenizer of this kind.</summary>
    /// <returns>A trainer that is shown all training text once and then builds the tokenizer.</returns>
    public abstract TokenizerTrainer CreateTrainer();
}

/// <summary>Learns what a tokenizer has to know from the training text.</summary>
public abstract class TokenizerTrainer
{
    /// <summary>Takes in the next piece of the training text.</summary>
    /// <param name="text">A piece that never splits a character; pieces come in order.</param>
    public abstract void Observe(ReadOnlySpan<char> text);

    /// <summary>Builds the tokenizer from all that was observed.</summary>
    /// <returns>The tokenizer; the same text gives the same one.</returns>
    public abstract Tokenizer Build();
}
