using Trainer.Data.Tokenizers;
using Trainer.Inference.Serving;

namespace Trainer.Inference.Tests;

public class TextAssemblerTests
{
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
}
