namespace Trainer.Data.Tokenizers.HuggingFace;

internal sealed class WordLevelModel(Vocabulary vocabulary, string unknownToken) : Model
{
    public static WordLevelModel Of(JsonSection section) => new(Vocabulary.Of(section), section.OptionalText("unk_token") ?? "<unk>");

    public override string Name => "wordlevel";

    public override IReadOnlyList<string?> Tokens => vocabulary.Tokens;

    public override int Size => vocabulary.Count;

    public override int Id(ReadOnlySpan<char> token) => vocabulary.Id(token);

    public override ModelEncoder CreateEncoder(bool readsBytes) => new Encoder(vocabulary, unknownToken);

    private sealed class Encoder(Vocabulary vocabulary, string unknownToken) : ModelEncoder
    {
        private readonly int unknown = vocabulary.Id(unknownToken);

        protected override void Tokenize(ReadOnlySpan<char> piece)
        {
            var id = vocabulary.Id(piece);
            if (id < 0)
                id = unknown;
            Output.Add(id >= 0 ? id : throw Unknown(piece, $" ({unknownToken})"));
        }
    }
}
