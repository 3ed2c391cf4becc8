using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;

namespace Trainer.Evaluation.Scoring;

/// <summary>Encoder-decoders: each token is predicted from those before it and the whole source. Texts stand between the tokens that begin and
/// end them, as in training, so that every token of the text has a score, and so has its end.</summary>
internal sealed class TranslationScorer(LanguageModel model, Tokenizer tokenizer) : CausalScorer(model, tokenizer)
{
    public override bool NeedsSource => true;

    public override int[] Encode(string text)
    {
        SequenceTokens special = SequenceTokens.Of(Tokenizer);
        return [special.Begin, .. Tokenizer.Encode(text), special.End];
    }

    public override int[] EncodeSource(string text)
    {
        int[] tokens = Tokenizer.Encode(text);
        return tokens.Length > 0 ? [.. tokens, SequenceTokens.Of(Tokenizer).End] : throw new UserException("the source is empty: there is nothing to read; give at least one character");
    }
}
