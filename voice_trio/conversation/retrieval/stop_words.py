"""Words that say nothing about what a question is about: articles, auxiliaries, question words, fillers.

Folded as `words.fold` folds: lower case, no diacritics. One set for all languages, because a few words of speech do not
tell the language. Words that mean something to a reader of another language stay out although their own language would
drop them: German "die", Dutch "hen", "men" and "door", French "mais" (maïs), "son" (bran) and "ete" (été).
It may know nothing at all.
"""

from __future__ import annotations

ENGLISH = """
a about after again all also am an and any are aren as at be because been before being but by can could couldn d did
didn do does doesn doing don for from get gets got had has hasn have haven having he her here hers him his how i if in
into is isn it its itself just ll long m many may me more most much my no nor not now of off often on only or our out
over own please re s same shall she should shouldn so some such t take taken takes tell than that the their them then
there these they this those through to too until up us ve very was wasn we were weren what when where which while who
whom whose why will with won would wouldn yes you your
"""
FRENCH = """
ai au aux avec c ce cela ces cet cette combien comme comment dans de des du elle elles en entre est et etre eux faut
fait il ils j je l la le les leur leurs lui ma me mes moi mon n ne nos notre nous on ont ou par pas peut plus pour
pourquoi qu quand que quel quelle quelles quels qui quoi sa sans se ses si sont sous sur ta te tes toi ton tout tres
tu un une vos votre vous y
"""
GERMAN = """
aber als am an auch auf aus bei bin bis bitte da damit dann das dass dem den denn der des dich dir doch du durch ein
eine einem einen einer eines er es fur gegen haben hat ich ihm ihn ihr ihre im ins ist kann kein keine konnen man mein
meine mich mir mit muss mussen nach nicht noch nur ob oder ohne sein seine sich sie sind soll sollen sollte uber um
und uns unter vom von vor wann warum was wenn wer werden wie wieviel wir wird wo womit zu zum zur
"""
SPANISH = """
al algo como con cual cuales cuando cuanta cuantas cuanto cuantos de debe del desde donde e el ella ellos en entre era
esta estan este esto estos hay la las lo los mas mi mis muy ni nos o para pero por porque puede puedo que quien se ser
si sin sobre su sus te tiene tu tus un una unas uno unos y ya yo
"""
PORTUGUESE = """
ao aos as ate com como da das de devo do dos e ela eles em entre esta eu foi isso isto ja lhe mas meu meus minha
minhas muito na nao nas no nos num numa o os ou para pela pelo por porque posso qual quais quando quantas quanto
quantos que quem sao se sem ser seu seus sobre sua suas tem um uma voce
"""
ITALIAN = """
a agli ai al alla alle anche che chi ci come con cosa cui da dagli dai dal dalla degli dei del della delle deve di
dove e ed gli ha hanno ho i il in io la le lei lo loro ma mi mia miei mio molto ne nei nel nella non o per perche piu
posso quale quali quando quanta quante quanti quanto questa questo se sei si sono su sua sui sul sulla suo ti tra tu
un una uno
"""
DUTCH = """
aan als bij dan dat de deze dit doe doen een en er ge had heb hebben heeft het hij hoe hoeveel hun ik in is ja je kan
kun kunnen maar meer met mijn moet moeten na naar niet nog nu of om onder ons ook op over te tot u uit van veel voor
waar waarom wanneer wat we wel welk welke wie wij wil worden wordt zal ze zich zij zijn zo zou
"""
FILLERS = """
ah ahem ahm aha alors bah ben bueno cioe eh ehm er erm euh hallo hello heu hey hi hm hmm hmmm huh like mhm nou oh ok
okay pues quoi so thanks uh uhh uhm um umm voila well yeah yep
"""
# Pairs of characters, because Chinese and Japanese are searched by pairs.
CJK_PAIRS = """
什么 怎么 怎样 多少 如何 哪里 哪个 哪些 为何 为什 么时 是否 请问 一下 我们 你们 他们 这个 那个 的是
是什 我的 需要 应该 可以 什麼 怎麼 怎樣 哪裡 哪個 為什 請問 這個 那個 我們 應該 です ます ので から
まで して する した には では とは こと もの いつ どう なに なん どの どれ れく くら らい いで すか
ください てい いる ある これ それ あれ さい えて 教え
"""

STOP_WORDS = frozenset(
    " ".join((ENGLISH, FRENCH, GERMAN, SPANISH, PORTUGUESE, ITALIAN, DUTCH, FILLERS, CJK_PAIRS)).split()
)
