using System.Globalization;
using Trainer.Data;

namespace Trainer.Evaluation.Perplexity;

/// <summary>A token that stands before the text, so that the text's first token is predicted from it, too.</summary>
/// <remarks>Without one the first token of a text is seen but not scored: a model says nothing about a token that nothing precedes.</remarks>
/// <param name="Token">Its id.</param>
/// <param name="EveryWindow">Whether the first token that each later window sees is replaced by it as well, as llama.cpp does
/// for models trained with one at the start of every sequence.</param>
public sealed record BeginningOfSequence(int Token, bool EveryWindow = false)
{
    /// <summary>A token by its name in the tokenizer, or by its id.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="token">The name, or the id in digits.</param>
    /// <returns>The id; null where the tokenizer has no such token.</returns>
    public static int? Find(Tokenizer tokenizer, string token) => tokenizer.TokenId(token)
        ?? (int.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out int id) && id < tokenizer.VocabularySize ? id : null);
}
