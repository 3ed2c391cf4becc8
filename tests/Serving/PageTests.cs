using Trainer.Reporting.Tests;
using Trainer.Tests;

namespace Trainer.Serving.Tests;

/// <summary>The page at / in a real browser.</summary>
public class PageTests
{
    [Fact]
    public async Task A_text_is_continued_from_the_keyboard_and_its_tokens_show_their_probabilities()
    {
        await using TinyServer server = TinyServer.Start();
        await using Browser browser = await Browser.Start();
        await Open(browser, server);
        Assert.Equal("tiny", await Text(browser, "#model"));
        Assert.StartsWith("decoder, ", await Text(browser, "#kind"));

        await browser.Evaluate<bool>("(($('temperature').value = 0), ($('tokens').value = 12), ($('prompt').value = 'to be'), true)");
        await Press(browser, "Enter", control: true);
        await browser.Until("document.querySelectorAll('.token').length > 5 && !$('go').disabled");
        string text = await Text(browser, "#text");
        Assert.Equal("to be" + server.Greedy("to be", 12), text);
        Assert.Contains("12 tokens", await Text(browser, "#status"));

        await browser.Evaluate<bool>("(document.querySelectorAll('#text .token')[2].focus(), true)");
        await Press(browser, "Enter");
        await browser.Until("document.querySelectorAll('#probabilities tr').length === 6");
        Assert.Equal(1, await browser.Evaluate<int>("document.querySelectorAll('#probabilities [style*=bold]').length"));
        Assert.Equal(1, await browser.Evaluate<int>("document.querySelectorAll('.token[aria-pressed=true]').length"));
        AssertQuiet(browser, server);
    }

    [Fact]
    public async Task Escape_stops_and_an_error_is_said()
    {
        await using TinyServer server = TinyServer.Start();
        await using Browser browser = await Browser.Start();
        await Open(browser, server, dark: true);
        await browser.Evaluate<bool>("(($('prompt').value = 'a'.repeat(70)), $('go').click(), true)");
        await browser.Until("$('status').classList.contains('error')");
        Assert.Contains("context holds 64", await Text(browser, "#status"));
        Assert.True(await browser.Evaluate<bool>("getComputedStyle(document.body).backgroundColor === 'rgb(23, 24, 26)'"));

        await browser.Evaluate<bool>("(($('prompt').value = 'to be'), $('go').click(), true)");
        await Press(browser, "Escape");
        await browser.Until("!$('go').disabled");
    }

    [Fact]
    public async Task A_model_with_a_template_is_talked_to()
    {
        await using TinyServer server = TinyServer.Start(
            chatTemplate: TinyServer.Template);
        await using Browser browser = await Browser.Start();
        await Open(browser, server);
        await browser.Evaluate<bool>("(($('temperature').value = 0), ($('tokens').value = 12), true)");
        foreach (string message in (string[])["to be", "or"])
        {
            int said = await browser.Evaluate<int>("document.querySelectorAll('.message.assistant').length");
            await browser.Evaluate<bool>($"(($('prompt').value = '{message}'), $('go').click(), true)");
            await browser.Until($"document.querySelectorAll('.message.assistant').length === {said + 1} && !$('go').disabled");
        }
        string[] answers = await browser.Evaluate<string[]>(
            "[...document.querySelectorAll('.message.assistant')].map(one => [...one.querySelectorAll('.token')].map(t => t.textContent).join(''))");
        string first = server.Greedy("to be|:", 12);
        Assert.Equal([first, server.Greedy($"to be|{first}|or|:", 12)], answers);
        AssertQuiet(browser, server);
    }

    [Fact]
    public async Task A_message_that_is_refused_is_in_the_prompt_box_again()
    {
        await using TinyServer server = TinyServer.Start(chatTemplate: TinyServer.Template);
        await using Browser browser = await Browser.Start();
        await Open(browser, server);
        await browser.Evaluate<bool>("(($('prompt').value = 'a'.repeat(70)), $('go').click(), true)");
        await browser.Until("$('status').classList.contains('error') && !$('go').disabled");
        Assert.Equal(new string('a', 70), await browser.Evaluate<string>("$('prompt').value"));
        Assert.Equal(0, await browser.Evaluate<int>("messages.length + document.querySelectorAll('.message').length"));
    }

    [Fact]
    public async Task An_adapter_is_chosen_and_talks_where_it_has_a_template()
    {
        using TemporaryDirectory directory = new();
        await using TinyServer server = TinyServer.StartWithAdapters(directory);
        await using Browser browser = await Browser.Start();
        await Open(browser, server);
        Assert.Equal(["tiny", "pirate", "talker"],
            await browser.Evaluate<string[]>("[...$('models').options].map(option => option.text)"));
        Assert.False(await browser.Evaluate<bool>("$('models').hidden"));
        await browser.Evaluate<bool>("(($('temperature').value = 0), ($('tokens').value = 12), ($('prompt').value = 'to be'), true)");
        await Choose(1);
        Assert.StartsWith("adapter of tiny, decoder, ", await Text(browser, "#kind"));
        await browser.Evaluate<bool>("($('go').click(), true)");
        await browser.Until("document.querySelectorAll('.token').length > 5 && !$('go').disabled");
        Assert.Equal("to be" + server.Greedy("to be", 12, directory.File("pirate")), await Text(browser, "#text"));

        await Choose(2);
        Assert.Equal("Send", await Text(browser, "#go"));
        Assert.Equal("", await Text(browser, "#text"));
        await browser.Evaluate<bool>("(($('prompt').value = 'to be'), $('go').click(), true)");
        await browser.Until("document.querySelectorAll('.message.assistant .token').length > 5 && !$('go').disabled");
        Assert.Equal(server.Greedy("to be|:", 12, directory.File("talker")), await browser.Evaluate<string>(
            "[...document.querySelectorAll('.message.assistant .token')].map(t => t.textContent).join('')"));
        AssertQuiet(browser, server);

        Task<bool> Choose(int index) => browser.Evaluate<bool>(
            $"(($('models').selectedIndex = {index}), $('models').dispatchEvent(new Event('change')))");
    }

    [Fact]
    public async Task An_encoder_compares_two_texts()
    {
        await using TinyServer server = TinyServer.Start(TinyServer.Encoder);
        await using Browser browser = await Browser.Start();
        await Open(browser, server);
        Assert.True(await browser.Evaluate<bool>("$('key').checkVisibility()"));
        await browser.Evaluate<bool>("(($('first').value = 'to be'), ($('second').value = 'to be'), $('compare').click(), true)");
        await browser.Until("$('similarity').textContent !== ''");
        Assert.Equal("Cosine similarity 1.0000", await Text(browser, "#similarity"));
        AssertQuiet(browser, server);
    }

    private static async Task Open(Browser browser, TinyServer server, bool dark = false)
    {
        await browser.Open(server.Client.BaseAddress!.AbsoluteUri, dark: dark);
        await browser.Until("$('model').textContent !== '…'");
    }

    private static Task<string> Text(Browser browser, string selector) =>
        browser.Evaluate<string>($"document.querySelector('{selector}').textContent");

    private static async Task Press(Browser browser, string key, bool control = false)
    {
        foreach (string type in (string[])["keyDown", "keyUp"])
            await browser.Call("Input.dispatchKeyEvent", new()
            {
                ["type"] = type, ["key"] = key, ["code"] = key, ["modifiers"] = control ? 2 : 0,
            });
    }

    private static void AssertQuiet(Browser browser, TinyServer server)
    {
        Assert.Empty(browser.Complaints);
        Assert.All(browser.Requests, url => Assert.True(
            url.StartsWith(server.Client.BaseAddress!.AbsoluteUri, StringComparison.Ordinal) || url.StartsWith("data:", StringComparison.Ordinal),
            url));
    }
}
