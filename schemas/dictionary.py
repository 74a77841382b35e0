"""Dictionaries of :mod:`schemas.compact`. Made by ``bench.dictionary``, never changed."""

from typing import Final

FIRST: Final = """
H>5D^B+|KHHV~j^W5X~E>DmZ<CFSZW6BU};W_vZ=B`nfBxdXlMv0qA-`(c6dtFr~a-9FD#z(io>x@8Iz0su4!4$Nf}D!~f?1V9MPi^+)*MM9Av
EQg^aMlldXF$_Y;0ECP|Mkz!D00000WD&-(cwi_N1W5{F7^F}@4%9#Z00031000C4000O8005<BZDDC_s&!&*W^-a|b8~B{Vrgt_X>MmNFr#d5
ccfusZDqicqib(zrE+L&G&DCeG&V3WFflVTz`&Hx00wh5K@33|m!)NGVQFlqY;|yTV{2@qVr6coZf|mJVQh6|W^-YqZDn-N00%Fj84d;d0KmY&
m!o%OVya<jV{~(JXl7|<q-|+(VWw_xa&2L33y_eJnXYDOa&vTFa%FRHZ*FsC0RgCDa%Ev-Xk}!mb97;DWMOh-0M2Vk(g4EG00w}iVP|D-bf<7~
X?9_BWuk2{+yD^I00y0h8&!xv0K^bGT>-3m;96jg(gTrcTW&9{0GFj@ZDDC_s&8UqbZla4X<=)uZ*F35VRB??Zf7kpz@%YgZDqidqh@bwr*dX(
b98lXr*d^}ZfS03&j1GX*855O007Sb2KFp9usi_I00#CfHLyGYz`y{Ik^sPx0nY#iZ*py6Y@uVMV`yP?p>(Noa&v5Sb#!cGp<%$GVyIzbZDlQR
a&Mt>qjqU<p=Xk#b7TO-5I(U|UB?Plt-Z&u*~IwYO00BYXLBxNXkl(=Wn_TBz`(+gkifve!`uK6&j1HnaFD>jrD11fZgiw?aAj`K00xz5`!*}U
m!)NGVQFl@z@~0*a&2L3q+w%iWuta!aFKOlY-wYnZ8gG>kifve!l`0uY;0+6XDu<6&j1GK7C9qH{Q$%eOiSd<!8KgrpO0^Gb7f>?Wut9nbk6_=
_n^B}_<#Vwz`&QIVQ^`{z@~0*a&2L3q+w%iWx$Y}t!`y_bYB6Zc4=_W00003T27Dvz@u$tbk6_>0i~R-olVZaVxHE(z`&QKWo=<;Y{0;yY;Sj@
mcW$H00&xVJiC^_m!n~DX~4k1q+w%iWuta!aFD>jsAF|=bZ>2Ca-?r?Wp2*^2U=xrVWVwjbk6_=@P`8hujI}`3)UXMz`&QJV`yP?z`&$vX=iAp
VPkD&z>oltk^#Vym!)NGVQFltV_|b}V`X(^a$}@!Z*Ov@b#iBAZgiw!V{K)?lBs2LV_|GzbY*0xXKMz+?+es{!vMq(U%&JKqJ33Ml=34X-NvM~
sc~U0b7OCEWn_S*VP|D-bilyEkdVO3K$oRuZDDC_r)_3!bZ%^Nz@%ttXK18hV{K)qVs&$AZe??GlBj2NXm4_5V{5H+X=QV1Ze??Gkifvez?9Db
2Ev4MZ2l~lqjzOuz`($yVPkD&sA6?<X>Mh6bCAve0$b()265>M?;_{`#1O|)DNtU;TmH6vL2Z}WwWqLfa%pdJX>@rmV`yP+XJur8p>V*M&j6=y
ZeM6`Y-Ezp00%KgX=6&Jr*LI%WNB_^lFtAKF-qDtMnR-+aAj@)z`y_i!k7R6q;GI#ZlQ3aY;Sj=W29qfVRWH%r*vy)b7Ev~p<$z8ZegKfq+w%i
WubDwp=Xh$ZESU7Y-wYnZ8E};kifve!mMv@VsBw`WNB_^EijeO00#Ep?AXJ=0mKmEg+;}-{#O09Zf9j=fuVD!aAj^}X>MoS01(dr2SNMFU?->m
#1PdRr#s(^UW$(G;&_*O>HDp1Wpi(7V`Zv!b8=;Ja%^T}b*yi0VsBw`WNB_^Eit5MX=iApVPkD&z>=eNb7`eyYi@9EVQyq$a%9eHNzwqPaBN|8
aBp;@ZDn-N00y3e2EUda0KmY&m!)=ZX=7!laBN|8aBp;>Vx(bXZDpZnkfCv<axytFFrjavZ#kiE&j1GZqdG1JN~mLXb98TQWpdmA5YGSxV{2t}
E@N_KVRU6=i=lI)Ze@3&aHMEyXK0~gq+@7dbfI*oX>x32WOa0*VZfncq+vpQEmA<JV|8<MZ*66Ana=<Q^Fn+y3ULC&5W&~PS)9vRzplP5EBcB|
&aG`_b8}&5V{mO@VyAL-Zf<FAXU_l!T4_13--Q6r00&xanB*(~&j1HnZJ6XN0KmYUs&Zv>Z*0#1289EIpqK#900xBvgP@oIz`y{Ik^sPx0Kk!w
&j1F5%`6FCf1_??cL2b^006>}bYX5}VRB^7){~?Fr*vUtWNmD4qitn$&j1EjZrB6m#Q?y-z?Y+UWn!svZf#|0Z)ag}X~4jvY;Sj@VPkD&z>v-W
g~pZu0l<{c00!50$F5Yjm!n~DX~3y-b#QQRa&#>)WoC0^a-(f!bk6_=lzOzu!(#xzz`&QKWo=<;Y{0;#b#iBAZgiw!V{K)?kesS=WpiP2bEa-@
a&2L3q+w%iWx$c8Y-4F}X919s0l<<0z?G8E00xg8Fek)7qi$t)lFtAJWOTs5z`&5ez`(%30KmY&0Kkv{kdgqvk^sPv0KmWi0K$;Kz`(%3&j1GZ
R-##60KlkpX=QR>c4=_Hz^G$&b98TQWpbu-Z)|pDWX}Kw+N$cJ?qipwWo=<;Y^ii^W@Tt_V{&C-bY*0Sp>v~dWp|-)qik<?p<|<AaA~1pq+w%i
WubDYVs&$AZe??Gp>d^hF*UJeb7Ns_VRUJ4ZZ2|RX>(;{fTdw)Wo~qp&j1GY+`{B6rvStdj>@X=!OB*5jYhEeE@5P3Wn_S+b9r-gWo@T$a%py9
bY-G#HQWFY&j1GZwQBo?MgYVR3|X>r4$ohLph+%aWMpMzfTLn>bf$21Vr*$+qHQyk&j1HP!FEM*OaR0X*GQcVV2fOIq$<NbM9}q?Zf9j=fuVDx
Z*XO9+yD^I00&ulWxU*Z0K^caV(CeWD_6>_M?C>F9$|~EZDn(FVP}nykdc|KZe@6MUvg!0aBpsNWdQ=DY+-a|sB?5-Ze(F{WB|_q000A8PLKe?
&j1F)rgLv>c4cIe&j1G>qy~N)K&E4CZ*yg20KmWi0K%Bg19bv`000000001$0m1+Pn9g-#Y-wYnZ8pM?kifve!mD&;V`y$^V_|G9GL_E&2SNqM
WuVUi#1NuWOk(ZaQl6@HxIF;Cz`&QJV`yP?r)gntXJlb-qhW4gz@%YgZDqibqh@kp0FaUZz>)#LlakK>2Ef3;z?Y?VZ)sy?s$y+(Wpr<AZ*OhD
z@%YgZDpf&X>gLIZE$sBa-()>aGa`gWpi(AE@5P3Wn_S;V|8<MZ*66Arf_v)Y-wYnZ85`@&j1Eiq{aDnkpRRHE%?PoUshd~w~3=}Wp|R#00$LM
Lp20xq;GI#ZUDf*00F|7&H%_d=>Px#00000z`(%3z`(%3z|Q~&v94UhgR^jlZOOl?t!-s<b75y?E@5P3Wn_z?bEI!@Wp1HxrfzR?ZDDMoW2I$n
VQFn)X>7p2z^GwkZDlQRa&Mz{X>gDLkdgtwk^sPzlFtAK5wzV0KtQB#aAj_i&j1GzGNEt4p>EFr27<<!;2A)rVP|D-bilyEkdVN@z`~_tXl!p~
0hinWF{N{Fb#!Q>bTwmgWnpw>WQU=1qi$t)p>U>ka%W|3bfIIVWo=<;Y@uSLVPkD&p>m^kX>g%&rE)SdubQtr&R2iu0KmY&m!n~DX{T*&Y;td9
Xuzg*a%W|3bf{rtZDlQRa&N$poT_qVb8i3uz>}P=W@&PBbYF61b8v5Nb7cXjb97;DWMOh-&j0`b2DF_Z0H<ecVQXu1a-(f!VQi#fV{K)?k*9EB
VRd72a=^f-V|8<MZ*66Ar*LI%WNB_^&j1HK<t5O*+?S<gZDDm{Y-wYnZ8XA=kifve!l`0uY;0+6XDu?7&j1GRs501HsR6_gp{|1Z;mT9Qq~I}(
bz*F3W1?*{!jO=_z`(+(b9HcVZ*p`kF_q5%2G@Tw<-foI#1Q_Q_}Z#}RTPm^V|;XJa$%uit8`^!Xl`j^VQeikrgM37bY*S8z`~G_z`(%5z`(=Y
01(dr2643jKSgH%V{&C-bY*0Tp>v~dWp|-)z@cNKVQ^`oVyIzbZDlQRa&Mt>sA6?<X>Mh6bD?LDp>b(!r)F?-Xlrd~z@~0*a&2L3s9|GmWi4=W
Z@`eiz^G$&b98TQWpbutY;SXAWX}Kwq+w%iWx$ZYz^G$&b98TQWpbo%aAj`K00w1LGjWB$m!)NGVQFl@z`&$oV{K)?kfn5KV{2t}E_HBZVRU6=
fuVD!aAj^}X>Mng&j1GSz?r)tbpXT=LPyFOqmo#YnE)*lzyQF&zyQFKoUUeRa&vTFa%FRHZ*FsC0i$+laL)h$00UZ1kO07^a&>NQX>MoF00x3T
gW;@haC0tlWn*P&c4cIMsAF|=bZ>2Ca=^gCkdVO3Kp+4B00000z{0@J0D2Mtb#ruYZDn$!Ze@4R00x&A((Et5m!)NGVQFlqXmD<CZ)R-3rgd^>
Wo~q&VPkD&z>#BUVQyz-WPzb`rgLv>c4cG%m)rm`rEYI>bZDb=GB%UX00$WLK{^0l0K^bR^P=!pOwM;*vSD*`X=iS2Wo~pXV`yP+XJurIp>w2f
aAj_xaHMEyXK0~grDbhlX>6f%sbXtyq;79-a-?W!XK18hV{K)?k*8#EXlZL^b)2nkWq5R7a%FRHZ*FsC0;qFzVQyq$<Z_BYr*LI%WNB_^0KmWi
0K$;Kz`(%3z`(%3&j1E$-%H%{u#k|D!~g)#00wdNxY=aDqik<?q+w%iWuta!aFCp;a%FRGY;|;LZ*Bpjc4=_W0000yS%x40z@u$tbk6_>bY*0V
p>v~dWp|-)qik<?p<|_GZDDC_p>(HaW^!j^Xl|ilz@cKKVPkD&p>n{XXOY09Z*XO9lFtAJ@_(#vF94@-Wo~3?ZfBCu00#1Z_--S>rgLv>c4cG$
z`y_i!<Ya7z@%ttXK1KlV{K(EaB^>`Vs&$AZe??GlBjTNZDeI+b7HM@X=QR>Vs&$AZe??Gz`!_Vp>M4?G&DCeG&V3WFfcYap>EFr2RGYp_N@S@
V|8<MZ*66Arf_v)Y-wYqF*q<VVRB^80000K9oJw0r*mg(Xk=?)qitn$&j1GUhI(M`NC3dVz?Y?EZDDC_z`&$vX=ko<X=7_;bS`6ZWnpw>WQCz~
qi$t)p>U>dZ*py6Y@uVNc5i88WuaoEVPkD&p>EFrYi4r5qik<?s9|GmWi4=WZ@`hKV{&G5Z*^_Jz^G$&b98TQWpbu-Z)|pDWX}KxFQE#x9jwEU
u5)x@baitsV`yP+XJurIp>w8lZ)|pDWT9}TZf|mJVQiseqjzOup>(Hgm!)=Z
"""
