using System.Text.Json.Nodes;
using System.Threading.Channels;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Inference.Serving;

namespace Trainer.Inference.Tests;

public class TextAssemblerTests
{
    // Its decoder holds bytes back until a token comes that is none, or the end.
    private static readonly Tokenizer Fallback = HuggingFaceTokenizer.Parse((JsonObject)JsonNode.Parse("""
        {"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":null,"post_processor":null,
         "decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]},
         "model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,
          "vocab":{"<unk>":0,"a":1,"<0x62>":2,"<0x63>":3,"<0x64>":4},"merges":[]}}
        """)!, "fallback");

    private static readonly int[] Abcd = [1, 2, 3, 4];

    [Fact]
    public void Pieces_make_the_text_up_to_its_first_stop()
    {
        Random random = new(5);
        for (int round = 0; round < 2000; round++)
        {
            byte[] text = [.. Enumerable.Range(0, random.Next(0, 30)).Select(_ => (byte)random.Next('a', 'd'))];
            string[] stops = [.. Enumerable.Range(0, random.Next(0, 4)).Select(_ => new string(
                [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => (char)random.Next('a', 'd'))]))];
            TextAssembler assembler = new(ByteTokenizer.Instance.CreateDecoder(), stops);
            string made = string.Concat(text.TakeWhile(_ => !assembler.HasStopped).Select(id => assembler.Push(id))) + assembler.Flush();

            string whole = string.Concat(text.Select(one => (char)one));
            int end = Enumerable.Range(0, whole.Length + 1).FirstOrDefault(
                length => stops.Any(stop => whole[..length].EndsWith(stop, StringComparison.Ordinal)), -1);
            string expected = end < 0 ? whole : whole[..stops.Where(stop => whole[..end].EndsWith(stop, StringComparison.Ordinal))
                .Min(stop => end - stop.Length)];
            Assert.Equal(expected, made);
        }
    }

    [Fact]
    public void Text_before_a_stop_that_the_decoder_held_back_is_returned()
    {
        TextAssembler assembler = new(Fallback.CreateDecoder(), ["c"]);
        Assert.Equal(["a", "", "", ""], Abcd.Select(assembler.Push));
        Assert.Equal(("b", true), (assembler.Flush(), assembler.HasStopped));
    }

    [Fact]
    public async Task A_text_ends_by_a_stop_that_the_decoder_held_back()
    {
        Channel<GeneratedToken> tokens = Channel.CreateUnbounded<GeneratedToken>();
        foreach (int id in Abcd) tokens.Writer.TryWrite(new(id, double.NaN, [], id == Abcd[^1] ? FinishReason.Length : null));
        tokens.Writer.Complete();
        GenerationStream stream = new(tokens.Reader, () => 0, () => { });
        using GeneratedText text = new(new GenerationRequest { Prompt = [1] }, stream, Fallback.CreateDecoder(), ["c"]);

        List<TextPiece> pieces = await text.ToListAsync();

        Assert.Equal(("ab", FinishReason.Stop), (string.Concat(pieces.Select(piece => piece.Text)), pieces[^1].Finish));
    }
}
