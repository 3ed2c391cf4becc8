using System.Text;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>A token that is no text, and what a recipe uses it for.</summary>
/// <param name="Use">What for, such as <c>ends documents</c>.</param>
/// <param name="Token">Its name.</param>
/// <param name="Id">Its id.</param>
public sealed record SpecialTokenUse(string Use, string Token, int Id)
{
    /// <summary>The special tokens that the rows of a recipe hold.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="options">Objective, packing and end of documents.</param>
    /// <returns>The tokens, in the order in which a row has them; none where rows are text alone.</returns>
    /// <exception cref="UserException">The tokenizer lacks a token that the objective needs.</exception>
    public static IReadOnlyList<SpecialTokenUse> Of(Tokenizer tokenizer, DataOptions options)
    {
        SpecialTokenUse Use(string use, int id) => new(use, Encoding.UTF8.GetString(tokenizer.TokenBytes(id)), id);
        if (options.Objective == DataObjective.SequenceToSequence)
        {
            var (begin, end) = SequenceTokens.Of(tokenizer);
            return [Use("begins what is written", begin), Use("ends what is read and written", end)];
        }
        var ends = EndOfText.Of(tokenizer, options.EndOfDocument) is { } id ? Use(options.IsPaired ? "ends what is written" : "ends documents", id) : null;
        SpecialTokenUse[] last = ends is null ? [] : [ends];
        return options.Objective != DataObjective.Masked ? last :
        [
            .. tokenizer.Frame.Before.Select(before => Use("begins rows", before)),
            Use("hides tokens", TokenMasker.RequireMask(tokenizer)),
            .. last,
            .. tokenizer.Frame.After.Select(after => Use("ends rows", after)),
        ];
    }
}
